/**
 * Which endpoints may take requests: outlier detection, under Istio's names and Envoy's where Istio has none, and
 * active checks. Defaults are Envoy's unless docs/DEVIATIONS.md says otherwise.
 */
import { z } from 'zod';
import { duration, percent, requestPath, statusRange } from './measures.ts';
import { anyText, hostname } from './names.ts';
import { COUNT_MAX, flag, integer, leaf, Refusal } from './scalar.ts';

const consecutive = (what: string) =>
  integer({ min: 0, max: 1_000_000 })
    .prefault(5)
    .describe(`${what} in a row that eject an endpoint; 0: never.`);

const volume = (requests: number, what: string) =>
  integer({ min: 1, max: COUNT_MAX, unit: 'requests' })
    .prefault(requests)
    .describe(`Requests in an interval that an endpoint must have had for its ${what} to count.`);

const hosts = (what: string) =>
  integer({ min: 1, max: COUNT_MAX, unit: 'endpoints' })
    .prefault(5)
    .describe(`With fewer endpoints of that volume no ${what} is looked at.`);

const enforcing = (share: number, what: string) =>
  percent()
    .prefault(share)
    .describe(`How many of 100 such detections eject: ${what}. 0: they are counted alone.`);

export const outlierDetection = z.strictObject({
  consecutive5xxErrors: consecutive('Answers with status 5xx'),
  consecutiveGatewayErrors: consecutive('Answers with status 502, 503 or 504'),
  consecutiveLocalOriginFailures: consecutive('Failures without an answer (connect, reset, timeout)'),
  interval: duration({ min: 1 })
    .prefault('10s')
    .describe(
      'What success rates and failure percentages are counted over. An endpoint healthy for one interval is ejected for less the next time.',
    ),
  baseEjectionTime: duration({ min: 1 })
    .prefault('30s')
    .describe('Length of an ejection, multiplied by how often the endpoint was ejected.'),
  maxEjectionTime: duration({ min: 1 }).prefault('300s').describe('The longest an ejection lasts.'),
  maxEjectionTimeJitter: duration({ min: 0 })
    .prefault('0s')
    .describe('Up to so much is added by chance, so that endpoints do not return together.'),
  maxEjectionPercent: percent().prefault(50).describe('Endpoints that may be ejected at a time.'),
  maxEjectionCount: integer({ min: 0, max: COUNT_MAX, unit: 'endpoints' })
    .prefault(1)
    .describe('Endpoints that may be ejected whatever the percentage says, while another one stays.'),
  minHealthPercent: percent()
    .prefault(0)
    .describe(
      'No ejection leaves a smaller share of the endpoints healthy; where active checks leave less, ejections end.',
    ),
  successRateMinimumHosts: hosts('success rate'),
  successRateRequestVolume: volume(100, 'success rate'),
  successRateStdevFactor: integer({ min: 0, max: 1_000_000 })
    .prefault(1900)
    .describe(
      'Thousandths of the standard deviation of all success rates: an endpoint further below their average is ejected.',
    ),
  failurePercentageThreshold: percent()
    .prefault(85)
    .describe('An endpoint with at least this share of failures is an outlier, whatever the others have.'),
  failurePercentageMinimumHosts: hosts('failure percentage'),
  failurePercentageRequestVolume: volume(50, 'failure percentage'),
  enforcingConsecutive5xx: enforcing(100, 'consecutive5xxErrors'),
  enforcingConsecutiveGatewayFailure: enforcing(100, 'consecutiveGatewayErrors'),
  enforcingConsecutiveLocalOriginFailure: enforcing(100, 'consecutiveLocalOriginFailures'),
  enforcingSuccessRate: enforcing(100, 'success rate of answers'),
  enforcingLocalOriginSuccessRate: enforcing(100, 'success rate of reaching the endpoint'),
  enforcingFailurePercentage: enforcing(0, 'failure percentage of answers'),
  enforcingFailurePercentageLocalOrigin: enforcing(0, 'failure percentage of reaching the endpoint'),
});

/** Bytes that one check sends, or looks for, at most: `00ff`. */
const PAYLOAD_BYTES = 4096;

const payload = () =>
  leaf<string, string>({
    expected: `1 to ${PAYLOAD_BYTES} bytes in quoted hexadecimal digits such as "000000ff"`,
    json: { type: 'string', pattern: '^([0-9A-Fa-f]{2})+$', maxLength: 2 * PAYLOAD_BYTES },
    read(value) {
      // 50494E47 is 50494 with an exponent, and 00 is 0: the digits as they were written are gone.
      if (typeof value === 'number') return new Refusal('quote the digits; YAML reads a number');
      if (typeof value !== 'string') return new Refusal('write the digits themselves');
      if (value.length > 2 * PAYLOAD_BYTES) return new Refusal(`shorten it to ${PAYLOAD_BYTES} bytes`);
      if (/^([0-9A-Fa-f]{2})+$/.test(value)) return value.toLowerCase();
      if (/^[0-9A-Fa-f]+$/.test(value)) return new Refusal(`two digits make a byte: "0${value}"`);
      const bytes = Buffer.from(value).toString('hex');
      return new Refusal(value === '' ? null : `write the bytes of that text: "${bytes}"`);
    },
  });

const tcpHealthCheck = z.strictObject({
  send: payload().optional().describe('Sent once the connection stands. Absent: nothing.'),
  receive: z
    .array(payload())
    .prefault([])
    .describe(
      'What the endpoint must say: each of them, in this order, anything in between. Empty: to be connected is enough.',
    ),
});

export const healthCheck = z.strictObject({
  path: requestPath().prefault('/').describe('Requested with GET.'),
  grpc: z
    .strictObject({
      service: anyText('the name of a gRPC service', 1024)
        .optional()
        .describe('The service that is asked about. Absent: the server as a whole.'),
    })
    .optional()
    .describe('Asks grpc.health.v1.Health in place of a GET; SERVING is a success.'),
  tcp: tcpHealthCheck.optional().describe('Connects in place of a GET.'),
  host: hostname({ wildcard: false })
    .optional()
    .describe(
      'Host header, or :authority. Default: the name of the service, or the address where that name can be no host.',
    ),
  interval: duration({ min: 100 }).prefault('5s').describe('Between the end of a check and the next one.'),
  intervalJitter: duration({ min: 0 })
    .optional()
    .describe('Up to so much is added by chance to each interval. Default: a tenth of the interval.'),
  initialJitter: duration({ min: 0 })
    .prefault('0s')
    .describe('The first check of an endpoint begins up to so much later, by chance.'),
  unhealthyInterval: duration({ min: 100 })
    .optional()
    .describe('In place of interval while the endpoint is unhealthy. Default: interval.'),
  noTrafficInterval: duration({ min: 100 })
    .optional()
    .describe('In place of both while the service has never been called. Default: none.'),
  timeout: duration({ min: 1 }).prefault('1s').describe('A check without an answer by then has failed.'),
  healthyThreshold: integer({ min: 1, max: 1000 })
    .prefault(2)
    .describe('Successes in a row that make it healthy.'),
  unhealthyThreshold: integer({ min: 1, max: 1000 })
    .prefault(3)
    .describe('Failures in a row that make it unhealthy.'),
  expectedStatuses: z
    .array(statusRange())
    .prefault([200])
    .describe('Status codes, or ranges of them, that are a success.'),
  alwaysLogHealthCheckFailures: flag()
    .prefault(false)
    .describe('Logs every check that fails, and not only one that changes something.'),
});

export type OutlierFields = z.infer<typeof outlierDetection>;
export type HealthCheckFields = z.infer<typeof healthCheck>;
