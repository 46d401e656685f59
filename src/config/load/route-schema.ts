/**
 * Routes, in the shape of Gateway API's HTTPRoute. `retry.retryOn` has Envoy's conditions under Envoy's
 * names; everything else keeps the name it has in Gateway API.
 */
import { z } from 'zod';
import { formatDuration, LIMITS } from '../../base/index.ts';
import { faultInjectionSchema } from './fault-injection.ts';
import { filtersSchema } from './filter-schema.ts';
import { duration, percent } from './measures.ts';
import { anyText, choice, headerName, headerValue, hostname, method, objectName } from './names.ts';
import { globalRateLimitSchema, rateLimitsSchema } from './rate-limit-schema.ts';
import { integer } from './scalar.ts';

const MATCH_TYPES = ['Exact', 'RegularExpression'] as const;
const matchType = () =>
  choice(MATCH_TYPES, { Prefix: 'use RegularExpression with ^…', Present: 'use RegularExpression with .*' })
    .prefault('Exact')
    .describe('RegularExpression has to match the whole value, in RE2 syntax.');

const grpc = z.strictObject({
  type: matchType(),
  service: anyText('the name of a gRPC service', 1024)
    .optional()
    .describe('With its package: shop.v1.Cart. Absent: every service.'),
  method: anyText('the name of a gRPC method', 1024)
    .optional()
    .describe('AddItem, say. Absent: every method.'),
});

const match = z.strictObject({
  path: z
    .strictObject({
      type: choice(['Exact', 'PathPrefix', 'RegularExpression'], { Prefix: 'use PathPrefix' })
        .prefault('PathPrefix')
        .describe('PathPrefix goes by whole segments: /a matches /a and /a/b, not /ab.'),
      value: anyText('a path', 1024)
        .prefault('/')
        .describe('Compared with the normalised path, without query.'),
    })
    .prefault({})
    .describe('How the path is matched.'),
  method: method().optional().describe('Absent: every method.'),
  grpc: grpc
    .optional()
    .describe(
      "gRPC requests only, by service and method: Gateway API's GRPCMethodMatch. Without path and method.",
    ),
  headers: z
    .array(
      z.strictObject({
        type: matchType(),
        name: headerName('match').describe('Case-insensitive.'),
        value: anyText('text', 4096).describe('What the value has to be.'),
      }),
    )
    .prefault([])
    .describe('All of them have to match.'),
  queryParams: z
    .array(
      z.strictObject({
        type: matchType(),
        name: anyText('the name of a query parameter', 256).describe('Case-sensitive.'),
        value: anyText('text', 1024).describe('What the first parameter of that name has to be.'),
      }),
    )
    .prefault([])
    .describe('All of them have to match.'),
});

export const RETRY_CONDITIONS = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'refused-stream',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

const retryCondition = () =>
  choice(RETRY_CONDITIONS, {
    'http3-post-connect-failure': 'HTTP/3 is not supported',
    'conn-failure': 'did you mean connect-failure?',
  });

const retry = z.strictObject({
  attempts: integer({ min: 0, max: 100, unit: 'retries' })
    .prefault(2)
    .describe('Retries after the first attempt; 0: never.'),
  retryOn: z
    .array(retryCondition())
    .prefault([])
    .describe(
      "Envoy's conditions, for every method; the last five are gRPC statuses. Empty: attempts of which no byte was handed to a backend and, for idempotent methods, also attempts without an answer, per-try timeouts and 503.",
    ),
  codes: z
    .array(integer({ min: 400, max: 599 }))
    .prefault([])
    .describe('Status codes that are retried, for every method (retriable-status-codes).'),
  headers: z
    .array(
      z.strictObject({
        name: headerName('match').describe('Case-insensitive.'),
        value: headerValue().optional().describe('Absent: any value.'),
      }),
    )
    .prefault([])
    .describe('Answer headers that make an answer retriable (retriable-headers).'),
  backoff: z
    .union([
      duration({ min: 1 }),
      z.strictObject({
        base: duration({ min: 1 }).prefault('25ms').describe('The first window.'),
        max: duration({ min: 1 }).optional().describe('The widest window. Default: ten times the base.'),
      }),
    ])
    .prefault('25ms')
    .describe('Base of the backoff with full jitter, alone or as { base, max }.'),
  resetHeaders: z
    .array(
      z.strictObject({
        name: headerName('match').describe('Case-insensitive.'),
        format: choice(['SECONDS', 'UNIX_TIMESTAMP']).prefault('SECONDS').describe('How its value is read.'),
      }),
    )
    .prefault([{ name: 'retry-after' }])
    .describe('Answer headers that say when to come back, in the order they are tried.'),
  maxResetInterval: duration({ min: 1 })
    .prefault('300s')
    .describe('A reset header that asks for more is ignored.'),
  replayBytes: integer({ min: 0, max: 16 * 1024 * 1024, unit: 'bytes' })
    .prefault(LIMITS.replayBytes)
    .describe('Request body kept for a retry. A longer one loses its retries: counted, never silent.'),
  hostSelectionAttempts: integer({ min: 0, max: 100 })
    .prefault(1)
    .describe('Picks repeated to find an endpoint that this request has not tried.'),
});

const hedging = z.strictObject({
  onPerTryTimeout: z
    .boolean()
    .prefault(false)
    .describe(
      "The per-try timeout lets its attempt go on, beside the retry that it leads to: Envoy's hedge_on_per_try_timeout.",
    ),
  latencyPercentile: percent()
    .optional()
    .describe(
      'A second attempt begins when the first takes longer than so many percent of attempts at the service do. Absent: never.',
    ),
  maxExtraPercent: percent()
    .prefault(5)
    .describe(
      'Second attempts for latency that the whole node may make, in percent of the requests that latency may send twice. Ten can be saved up.',
    ),
  methods: choice(['IDEMPOTENT', 'ANY'])
    .prefault('IDEMPOTENT')
    .describe('Requests that latency may send twice. gRPC calls are POST requests.'),
});

const backendRef = z.strictObject({
  name: objectName().describe('A service.'),
  subset: objectName().optional().describe('A subset of it. Absent: all its endpoints.'),
  weight: integer({ min: 0, max: 1_000_000 }).prefault(1).describe('Share of the requests; 0: none.'),
  filters: filtersSchema().describe('Applied to requests that go to this backend: header modifiers only.'),
});

const rule = z.strictObject({
  name: objectName()
    .optional()
    .describe('What logs and decision records call the rule. Default: ROUTE/INDEX.'),
  matches: z.array(match).prefault([{}]).describe('Alternatives. Default: every request.'),
  priority: choice(['low', 'default', 'high'], { DEFAULT: 'write default', HIGH: 'write high' })
    .prefault('default')
    .describe('An overloaded node refuses low first, then default, and high never; see overloadManager.'),
  filters: filtersSchema().describe('Applied in order.'),
  backendRefs: z.array(backendRef).prefault([]).describe('Where requests go, by weight.'),
  timeouts: z
    .strictObject({
      request: duration({ min: 0 })
        .optional()
        .describe(
          `For the whole request, retries and backoff included; 0s: off. Default: ${formatDuration(LIMITS.requestTimeoutMs)}; for gRPC requests none but their own grpc-timeout, because it would cut streams.`,
        ),
      backendRequest: duration({ min: 0 })
        .prefault('0s')
        .describe('For each attempt; at most `request`. 0s: off.'),
    })
    .prefault({})
    .describe("Gateway API's HTTPRouteTimeouts."),
  maxRequestBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' })
    .optional()
    .describe('A request body (413 above); 0: no bound. Default: that of the listener.'),
  retry: retry.prefault({}).describe('When a request is sent again.'),
  hedging: hedging.optional().describe('A second attempt beside one that is slow; the first answer counts.'),
  fault: faultInjectionSchema
    .optional()
    .describe("Faults on purpose: Istio's HTTPFaultInjection, Envoy's HTTP fault filter."),
  rateLimits: rateLimitsSchema('the requests of the rule'),
  globalRateLimit: globalRateLimitSchema
    .optional()
    .describe('A rate limit service that is asked before a request is sent on. Absent: none.'),
});

export const routeSchema = z.strictObject({
  name: objectName().describe('Unique among routes.'),
  parentRefs: z
    .array(z.strictObject({ sectionName: objectName().describe('A listener.') }))
    .prefault([])
    .describe('Listeners that the route is for. Empty: every listener that carries HTTP.'),
  hostnames: z
    .array(hostname({ wildcard: true }))
    .prefault([])
    .describe('Hosts that the route is for. Empty: every host.'),
  rules: z.array(rule).describe("Tried by Gateway API's precedence, not by their order."),
});

export type RouteFields = z.infer<typeof routeSchema>;
export type RuleFields = RouteFields['rules'][number];
