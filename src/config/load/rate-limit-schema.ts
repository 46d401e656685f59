/** Rate limits: token buckets of this node, for listeners, rules and services alike, and a rate limit service for rules. */
import { z } from 'zod';
import { duration, percent } from './measures.ts';
import { anyText, choice, headerName, objectName } from './names.ts';
import { flag, integer } from './scalar.ts';

/** The most tokens of a bucket, and requests of an interval. */
export const TOKENS_MAX = 10_000_000;

const per = z.strictObject({
  httpHeaderName: headerName('match')
    .optional()
    .describe('The value of this header. Requests without it share one bucket.'),
  httpCookieName: anyText('a cookie name', 256)
    .optional()
    .describe('The value of this cookie. Requests without it share one bucket.'),
  httpQueryParameterName: anyText('the name of a query parameter', 256)
    .optional()
    .describe('The value of this query parameter. Requests without it share one bucket.'),
  useSourceIp: flag()
    .prefault(false)
    .describe("The client's address: the one that trusted proxies name, else the peer's."),
  workload: flag()
    .prefault(false)
    .describe(
      'Who calls: the URI of its certificate (SPIFFE) where clientAuth has verified one, else the address of the connection.',
    ),
});

const rateLimit = z.strictObject({
  name: objectName().describe('Unique in its list; metrics and decision records name it.'),
  requests: integer({ min: 1, max: TOKENS_MAX, unit: 'requests' }).describe(
    "Let through in every interval, at an even pace: Envoy's tokens_per_fill.",
  ),
  interval: duration({ min: 1, max: 86_400_000 })
    .prefault('1s')
    .describe("What requests are counted over: Envoy's fill_interval."),
  burst: integer({ min: 1, max: TOKENS_MAX, unit: 'requests' })
    .optional()
    .describe("Let through at once after a pause: Envoy's max_tokens. Default: requests."),
  per: per.optional().describe('What has a bucket of its own. Absent: all requests share one.'),
  enforcedPercentage: percent()
    .prefault(100)
    .describe(
      'Of the requests over the limit, how many are refused: filter_enforced. 0: none, they are only counted and recorded (shadow mode).',
    ),
  httpStatus: integer({ min: 400, max: 599 }).prefault(429).describe('Status of a refusal.'),
  headers: flag()
    .prefault(false)
    .describe('Answers tell what is left, in RateLimit and RateLimit-Policy. Refusals always do.'),
});

export const rateLimitsSchema = (what: string) =>
  z.array(rateLimit).prefault([]).describe(`Token buckets for ${what}, exact over all workers of the node.`);

const entryKey = (fallback: string) =>
  anyText('the key of a descriptor entry', 256).prefault(fallback).describe('Key of the entry.');

const entryValue = () => anyText('the value of a descriptor entry', 1024).describe('Value of the entry.');

const action = z.strictObject({
  genericKey: z
    .strictObject({ descriptorKey: entryKey('generic_key'), descriptorValue: entryValue() })
    .optional()
    .describe('A fixed entry.'),
  remoteAddress: z
    .strictObject({})
    .optional()
    .describe("remote_address: the client's address, the one that trusted proxies name, else the peer's."),
  requestHeaders: z
    .strictObject({
      headerName: headerName('match').describe('Case-insensitive.'),
      descriptorKey: anyText('the key of a descriptor entry', 256).describe('Key of the entry.'),
      skipIfAbsent: flag()
        .prefault(false)
        .describe('Without the header the entry is left out; false: the whole descriptor is.'),
    })
    .optional()
    .describe('The value of a header.'),
  headerValueMatch: z
    .strictObject({
      descriptorKey: entryKey('header_match'),
      descriptorValue: entryValue(),
      expectMatch: flag().prefault(true).describe('false: the entry is made where the headers do not match.'),
      headers: z
        .array(
          z.strictObject({
            type: choice(['Exact', 'RegularExpression'])
              .prefault('Exact')
              .describe('RegularExpression has to match the whole value, in RE2 syntax.'),
            name: headerName('match').describe('Case-insensitive.'),
            value: anyText('text', 4096).describe('What the value has to be.'),
          }),
        )
        .describe('All of them have to match.'),
    })
    .optional()
    .describe('A fixed entry for requests whose headers match; without a match the descriptor is left out.'),
  destinationCluster: z
    .strictObject({})
    .optional()
    .describe('destination_cluster: the service that the request goes to.'),
  sourceCluster: z.strictObject({}).optional().describe('source_cluster: tracing.serviceName.'),
});

export const globalRateLimitSchema = z.strictObject({
  service: objectName().describe('A service that answers envoy.service.ratelimit.v3, over HTTP/2.'),
  domain: anyText('a domain', 256).describe('What the rate limit service calls this set of limits.'),
  descriptors: z
    .array(z.strictObject({ actions: z.array(action).describe('Each makes one entry, in this order.') }))
    .describe(
      "What the service counts by: Envoy's rate_limits of a route. A request that makes none passes.",
    ),
  timeout: duration({ min: 1, max: 60_000 }).prefault('20ms').describe('For its answer.'),
  failureModeDeny: flag()
    .prefault(false)
    .describe('Without an answer of the service requests are refused (flag RLSE); false: they pass.'),
  httpStatus: integer({ min: 400, max: 599 }).prefault(429).describe('Status of a refusal.'),
  statusOnError: integer({ min: 400, max: 599 })
    .prefault(500)
    .describe('Status where failureModeDeny refuses.'),
  enforcedPercentage: percent()
    .prefault(100)
    .describe('Of the requests over a limit, how many are refused. 0: none (shadow mode).'),
  headers: flag()
    .prefault(false)
    .describe('Answers get X-RateLimit-Limit, -Remaining and -Reset of what the service says is left.'),
});

export type RateLimitFields = z.infer<typeof rateLimit>;
export type GlobalRateLimitFields = z.infer<typeof globalRateLimitSchema>;
export type ActionFields = z.infer<typeof action>;
