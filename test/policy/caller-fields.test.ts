/** What callers ask for by x-envoy-* fields, and how it goes together with what the rule states. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, LIMITS } from '../../src/base/index.ts';
import type { RetryConfig } from '../../src/config/index.ts';
import {
  afterFailure,
  afterHead,
  callerHedging,
  callerRetry,
  callerTimeouts,
  compileRetry,
  compileTimeouts,
  expectedTimeoutMs,
  grpcTimeouts,
  TrustedCallers,
  takeCallerFields,
} from '../../src/dataplane/policy/index.ts';
import { HeaderList, type ResponseHead } from '../../src/message/index.ts';
import { retryConfig } from './kit.ts';

const answer = (status: number, ...fields: string[]): ResponseHead => ({
  status,
  reason: '',
  version: '1.1',
  headers: HeaderList.of(...fields),
  body: 'none',
  contentLength: -1,
});

function policyOf(rule: Partial<RetryConfig>, ...fields: string[]) {
  return callerRetry(compileRetry(retryConfig(rule)), takeCallerFields(HeaderList.of(...fields)));
}

const reasonOf = (
  rule: Partial<RetryConfig>,
  fields: string[],
  head: ResponseHead,
  method = 'POST',
): string => afterHead(policyOf(rule, ...fields), head, method).reason;

test('conditions are added to those of the rule', () => {
  const on = ['x-envoy-retry-on', 'retriable-4xx, nonsense,5xx'];
  assert.equal(reasonOf({ retryOn: ['gateway-error'] }, on, answer(409)), 'retriable-4xx');
  assert.equal(reasonOf({ retryOn: ['gateway-error'] }, on, answer(500)), '5xx');
  assert.equal(reasonOf({ retryOn: ['gateway-error'] }, [], answer(500)), '');
  const status = answer(200, 'grpc-status', '8');
  assert.equal(reasonOf({}, ['x-envoy-retry-grpc-on', 'resource-exhausted'], status), 'resource-exhausted');
  assert.equal(
    reasonOf({}, ['x-envoy-retry-on', 'resource-exhausted'], status),
    '',
    'gRPC has a field of its own',
  );
});

test('a rule that states nothing keeps its defaults', () => {
  const on = ['x-envoy-retry-on', 'retriable-4xx'];
  assert.equal(reasonOf({}, on, answer(503), 'GET'), 'code-503');
  assert.equal(reasonOf({}, on, answer(503), 'POST'), '');
  const policy = policyOf({}, ...on);
  assert.equal(
    afterFailure(policy, failure('connect-refused'), 'POST', false, false).reason,
    'connect-failure',
  );
  assert.equal(afterFailure(policy, failure('closed-before-response'), 'POST', true, false).retry, false);
  const stated = policyOf({ retryOn: ['5xx'] }, ...on);
  assert.equal(afterFailure(stated, failure('closed-before-response'), 'POST', true, false).reason, '5xx');
});

test('codes and header names count with their condition only', () => {
  const codes = ['x-envoy-retriable-status-codes', '418, x, 99,500'];
  assert.equal(reasonOf({}, codes, answer(418)), '');
  const on = ['x-envoy-retry-on', 'retriable-status-codes'];
  assert.equal(reasonOf({}, [...codes, ...on], answer(418)), 'code-418');
  assert.equal(reasonOf({ codes: [429] }, codes, answer(418)), 'code-418');
  assert.equal(reasonOf({ codes: [429] }, codes, answer(429)), 'code-429');
  const names = ['x-envoy-retriable-header-names', 'X-Again'];
  assert.equal(reasonOf({}, names, answer(200, 'x-again', '')), '');
  const byHeader = [...names, 'x-envoy-retry-on', 'retriable-headers'];
  assert.equal(reasonOf({}, byHeader, answer(200, 'x-again', '')), 'retriable-headers');
});

test('the number of retries replaces that of the rule, up to what a rule may state', () => {
  const attempts = (rule: number, asked: string): number =>
    policyOf({ attempts: rule }, 'x-envoy-max-retries', asked).config.attempts;
  assert.deepEqual(
    ['5', '0', '-1', 'x', '1.5', '1e3', '99999999999999999'].map((asked) => attempts(2, asked)),
    [5, 0, 2, 2, 2, 2, 2],
  );
  assert.equal(attempts(2, '500'), LIMITS.callerRetriesMax);
  assert.equal(attempts(0, '3'), 3);
});

test('a policy is made once for what is asked again', () => {
  const rule = compileRetry(retryConfig());
  const ask = (text: string) => callerRetry(rule, takeCallerFields(HeaderList.of('x-envoy-retry-on', text)));
  assert.equal(ask('5xx'), ask('5xx'));
  assert.notEqual(ask('5xx'), ask('reset'));
  for (let i = 0; i < 3 * LIMITS.callerPoliciesPerRule; i++) ask(`5xx,a${i}`);
  assert.equal(ask('reset').conditions.has('reset'), true);
  assert.equal(callerRetry(rule, null), rule);
});

test('the fields are taken out, others of the prefix are left', () => {
  const headers = HeaderList.of(
    'X-Envoy-Retry-On',
    '5xx',
    'x-envoy-max-retries',
    '1',
    'x-envoy-peer-metadata',
    'm',
  );
  const asks = takeCallerFields(headers);
  assert.equal(headers.toText(), 'x-envoy-peer-metadata: m\r\n');
  assert.deepEqual(
    [asks?.requestMs, asks?.perTryMs, asks?.hedgeOnPerTryTimeout, asks?.operation],
    [-1, -1, null, ''],
  );
  assert.equal(takeCallerFields(headers), null);
  const hedge = takeCallerFields(HeaderList.of('x-envoy-hedge-on-per-try-timeout', 'true'));
  assert.equal(hedge?.hedgeOnPerTryTimeout, true);
});

test('timeouts replace those of the rule; 0 is none; a grpc-timeout still bounds', () => {
  const rule = compileTimeouts({ requestMs: 15_000, backendRequestMs: 2_000, grpcRequestMs: 0 });
  const asking = (...fields: string[]) => callerTimeouts(rule, takeCallerFields(HeaderList.of(...fields)));
  const request = (ms: string): string[] => ['x-envoy-upstream-rq-timeout-ms', ms];
  const perTry = (ms: string): string[] => ['x-envoy-upstream-rq-per-try-timeout-ms', ms];
  const both = asking(...request('900'), ...perTry('300')).http;
  assert.deepEqual(
    [both.requestMs, both.perTryMs, both.statedBy],
    [900, 300, 'x-envoy-upstream-rq-timeout-ms'],
  );
  assert.equal(asking(...request('900')).http.perTryMs, 0, 'longer than the request may take');
  assert.deepEqual(
    [asking(...perTry('0')).http.perTryMs, asking(...perTry('0')).http.requestMs],
    [0, 15_000],
  );
  assert.deepEqual(
    [asking(...request('0')).http.requestMs, asking(...request('0')).http.perTryMs],
    [0, 2_000],
  );
  assert.equal(asking(...request('soon')), rule);
  const call = grpcTimeouts(asking(...request('900')), HeaderList.of('grpc-timeout', '5S'));
  assert.deepEqual([call.requestMs, call.statedBy], [900, 'x-envoy-upstream-rq-timeout-ms']);
  const shorter = grpcTimeouts(asking(...request('900')), HeaderList.of('grpc-timeout', '100m'));
  assert.deepEqual([shorter.requestMs, shorter.statedBy], [100, 'grpc-timeout']);
});

test('hedging on a per-try timeout is switched by the caller, hedging by latency is not', () => {
  const rule = { onPerTryTimeout: false, latencyPercentile: 95, maxExtraPercent: 5, anyMethod: false };
  const asking = (value: string) =>
    takeCallerFields(HeaderList.of('x-envoy-hedge-on-per-try-timeout', value));
  const hedging = (value: string, own: typeof rule | null) => {
    const asks = asking(value);
    assert.ok(asks);
    return callerHedging(own, asks);
  };
  assert.deepEqual(hedging('true', rule), { ...rule, onPerTryTimeout: true });
  assert.equal(hedging('false', rule), rule);
  assert.equal(hedging('maybe', rule), rule);
  assert.equal(hedging('true', null)?.onPerTryTimeout, true);
  assert.equal(hedging('true', null)?.latencyPercentile, null);
  assert.equal(hedging('false', null), null);
});

test('an endpoint is told the shorter of its attempt and what is left', () => {
  const told = (requestMs: number, backendRequestMs: number, elapsedMs: number): number =>
    expectedTimeoutMs(
      compileTimeouts({ requestMs, backendRequestMs, grpcRequestMs: 0 }).http,
      elapsedMs,
      false,
    );
  assert.equal(told(15_000, 0, 0), 15_000);
  assert.equal(told(15_000, 0, 1_000.5), 14_000);
  assert.equal(told(15_000, 2_000, 0), 2_000);
  assert.equal(told(15_000, 2_000, 14_000), 1_000);
  assert.equal(told(0, 2_000, 50_000), 2_000);
  assert.equal(told(0, 0, 5), 0);
  assert.equal(told(100, 0, 100), 1, '0 would mean no limit');
});

test('a caller is trusted when it and all it speaks for are', () => {
  const callers = TrustedCallers.of(['10.0.0.0/8', 'fd00::/8']);
  const trusts = (peer: string, ...forwardedFor: string[]): boolean =>
    callers.trusts(peer, HeaderList.of(...forwardedFor.flatMap((list) => ['x-forwarded-for', list])));
  assert.equal(trusts('10.1.2.3'), true);
  assert.equal(trusts('::ffff:10.1.2.3'), true);
  assert.equal(trusts('11.1.2.3'), false);
  assert.equal(trusts('10.1.2.3', 'fd00::1, 10.0.0.9'), true);
  assert.equal(trusts('10.1.2.3', '203.0.113.1, 10.0.0.9'), false);
  assert.equal(trusts('10.1.2.3', '10.0.0.9', '203.0.113.1'), false);
  assert.equal(trusts('10.1.2.3', 'unknown'), false);
  assert.equal(trusts('203.0.113.1', '10.1.2.3'), false);
});
