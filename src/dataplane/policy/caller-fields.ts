/**
 * What a trusted caller may ask of this proxy for one request, by the fields that Envoy knows: when it is sent again, how often, and
 * how long it may take. They are read once, taken out, and never reach an endpoint; from anybody else they are taken out
 * unread. As in Envoy a value that is none is ignored.
 */
import { LIMITS } from '../../base/index.ts';
import type { HedgingConfig, RetryCondition } from '../../config/index.ts';
import { type HeaderList, listElements, X_ENVOY } from '../../message/index.ts';
import { type CallerRetry, compileRetry, type RetryPolicy } from './retry.ts';

export interface CallerFields {
  /** The texts of its retry fields, which lead to a policy; empty: it has none. */
  readonly retryKey: string;
  readonly retry: CallerRetry | null;
  /** `x-envoy-upstream-rq-timeout-ms`; 0: no limit, -1: not stated. */
  readonly requestMs: number;
  /** `x-envoy-upstream-rq-per-try-timeout-ms`; the same. */
  readonly perTryMs: number;
  /** `x-envoy-hedge-on-per-try-timeout`; null: not stated. */
  readonly hedgeOnPerTryTimeout: boolean | null;
  /** `x-envoy-decorator-operation`: what the request's span is called; empty: not stated. */
  readonly operation: string;
}

/** Takes them out of `headers`. Null: there are none. */
export function takeCallerFields(headers: HeaderList): CallerFields | null {
  if (!headers.has(X_ENVOY)) return null;
  const texts = RETRY_FIELDS.map((name) => take(headers, name));
  const [retryOn, grpcOn, attempts, codes, names] = texts as [string, string, string, string, string];
  const requestMs = milliseconds(take(headers, 'x-envoy-upstream-rq-timeout-ms'));
  const perTryMs = milliseconds(take(headers, 'x-envoy-upstream-rq-per-try-timeout-ms'));
  const hedge = take(headers, 'x-envoy-hedge-on-per-try-timeout');
  const operation = take(headers, 'x-envoy-decorator-operation');
  const retries = texts.some((text) => text !== '');
  if (!retries && requestMs < 0 && perTryMs < 0 && hedge === '' && operation === '') return null;
  return {
    retryKey: retries ? texts.join('\n') : '',
    retry: retries ? retryOf(retryOn, grpcOn, attempts, codes, names) : null,
    requestMs,
    perTryMs,
    hedgeOnPerTryTimeout: hedge === 'true' ? true : hedge === 'false' ? false : null,
    operation,
  };
}

/** Policies made for callers, by their rule's own and the texts of their fields: a caller asks for the same every time. */
const made = new WeakMap<RetryPolicy, Map<string, RetryPolicy>>();
const KEY_CHARS_MAX = 512;

/** The rule's policy with what the caller asked for. */
export function callerRetry(rule: RetryPolicy, asks: CallerFields | null): RetryPolicy {
  if (asks === null || asks.retry === null) return rule;
  const { retry, retryKey } = asks;
  if (retryKey.length > KEY_CHARS_MAX) return compileRetry(rule.config, retry);
  let ofRule = made.get(rule);
  if (ofRule === undefined) {
    ofRule = new Map();
    made.set(rule, ofRule);
  }
  let policy = ofRule.get(retryKey);
  if (policy !== undefined) return policy;
  if (ofRule.size >= LIMITS.callerPoliciesPerRule) ofRule.clear();
  policy = compileRetry(rule.config, retry);
  ofRule.set(retryKey, policy);
  return policy;
}

/** The rule's hedging with the caller's word on per-try timeouts in place of the rule's. */
export function callerHedging(rule: HedgingConfig | null, asks: CallerFields): HedgingConfig | null {
  const { hedgeOnPerTryTimeout } = asks;
  if (hedgeOnPerTryTimeout === null || hedgeOnPerTryTimeout === rule?.onPerTryTimeout) return rule;
  if (rule !== null) return { ...rule, onPerTryTimeout: hedgeOnPerTryTimeout };
  return hedgeOnPerTryTimeout ? ON_PER_TRY_TIMEOUT : null;
}

const ON_PER_TRY_TIMEOUT: HedgingConfig = {
  onPerTryTimeout: true,
  latencyPercentile: null,
  maxExtraPercent: 0,
  anyMethod: false,
};

const RETRY_FIELDS = [
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
] as const;

/** `http3-post-connect-failure` is no condition here: there is no HTTP/3. */
const ON: ReadonlySet<string> = new Set<RetryCondition>([
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
]);
const GRPC_ON: ReadonlySet<string> = new Set<RetryCondition>([
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

function retryOf(on: string, grpcOn: string, attempts: string, codes: string, names: string): CallerRetry {
  const asked = [
    ...listElements(on).filter((word) => ON.has(word)),
    ...listElements(grpcOn).filter((word) => GRPC_ON.has(word)),
  ];
  return {
    attempts: WHOLE.test(attempts) ? Math.min(Number(attempts), LIMITS.callerRetriesMax) : -1,
    conditions: asked as RetryCondition[],
    codes: listElements(codes)
      .filter((code) => STATUS.test(code))
      .map(Number),
    headers: listElements(names.toLowerCase()),
  };
}

const WHOLE = /^[0-9]{1,15}$/;
const STATUS = /^[1-5][0-9]{2}$/;

function milliseconds(text: string): number {
  return WHOLE.test(text) ? Math.min(Number(text), LIMITS.callerTimeoutMs) : -1;
}

/** The value, lines joined; empty: there is none. */
function take(headers: HeaderList, name: string): string {
  const text = headers.getAll(name);
  if (text === undefined) return '';
  headers.delete(name);
  return text.trim();
}
