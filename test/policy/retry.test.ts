import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_KINDS, type FailureKind, failure } from '../../src/base/index.ts';
import type { RetryCondition, RetryConfig } from '../../src/config/index.ts';
import { afterFailure, afterHead, compileRetry, isIdempotent } from '../../src/dataplane/policy/index.ts';
import { HeaderList, type ResponseHead } from '../../src/message/index.ts';
import { retryConfig } from './kit.ts';

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'];
const OTHERS = ['POST', 'PATCH', 'CONNECT', 'get', 'PROPFIND'];

const CONNECT_KINDS = ['connect-refused', 'connect-timeout', 'connect-failed', 'upstream-tls'] as const;
const ATTEMPT_KINDS: readonly FailureKind[] = [
  ...CONNECT_KINDS,
  'closed-before-response',
  'reset-before-response',
  'per-try-timeout',
  'upstream-protocol',
];

function head(status: number, ...headers: string[]): ResponseHead {
  return {
    status,
    reason: '',
    version: '1.1',
    headers: HeaderList.of(...headers),
    body: 'none',
    contentLength: -1,
  };
}

/** The head of an answer that is nothing but a gRPC status. */
const trailersOnly = (status: string): ResponseHead =>
  head(200, 'content-type', 'application/grpc', 'grpc-status', status);

/** Reason for a retry after a failure, or '' for none. */
function reason(
  config: Partial<RetryConfig>,
  kind: FailureKind,
  method: string,
  requestStarted = true,
  reused = false,
): string {
  const decision = afterFailure(
    compileRetry(retryConfig(config)),
    failure(kind),
    method,
    requestStarted,
    reused,
  );
  assert.equal(decision.retry, decision.reason !== '');
  return decision.reason;
}

function answered(config: Partial<RetryConfig>, response: ResponseHead, method: string): string {
  return afterHead(compileRetry(retryConfig(config)), response, method).reason;
}

test('idempotent methods are those of RFC 9110', () => {
  for (const method of IDEMPOTENT) assert.equal(isIdempotent(method), true, method);
  for (const method of OTHERS) assert.equal(isIdempotent(method), false, method);
});

test('by default a request that was never sent is sent again, whatever its method', () => {
  for (const method of [...IDEMPOTENT, ...OTHERS]) {
    for (const kind of CONNECT_KINDS) assert.equal(reason({}, kind, method, false), 'connect-failure');
    assert.equal(reason({}, 'closed-before-response', method, false, true), 'reset-before-request');
    assert.equal(reason({}, 'reset-before-response', method, false), 'reset-before-request');
    assert.equal(reason({}, 'per-try-timeout', method, false), 'reset-before-request');
  }
});

test('by default a stream that the endpoint refused is opened again, whatever the method', () => {
  for (const method of [...IDEMPOTENT, ...OTHERS]) {
    assert.equal(reason({}, 'refused-stream', method, true, true), 'refused-stream');
    assert.equal(reason({}, 'refused-stream', method, true, false), 'refused-stream');
  }
});

test('by default an idempotent request without an answer is sent again', () => {
  for (const method of IDEMPOTENT) {
    for (const kind of ['closed-before-response', 'reset-before-response'] as const) {
      assert.equal(reason({}, kind, method, true, true), 'stale-connection');
      assert.equal(reason({}, kind, method, true, false), 'reset');
    }
    assert.equal(reason({}, 'per-try-timeout', method), 'per-try-timeout');
    assert.equal(reason({}, 'upstream-protocol', method), '');
  }
});

test('by default a request of another method is never repeated once a byte of it was sent', () => {
  for (const method of OTHERS) {
    for (const kind of [
      'closed-before-response',
      'reset-before-response',
      'per-try-timeout',
      'upstream-protocol',
    ] as const) {
      for (const reused of [true, false])
        assert.equal(reason({}, kind, method, true, reused), '', `${method} ${kind}`);
    }
  }
});

test('by default 503 is repeated for idempotent methods, and no other answer for any', () => {
  for (const method of [...IDEMPOTENT, ...OTHERS]) {
    for (let status = 200; status < 600; status++) {
      const expected = status === 503 && IDEMPOTENT.includes(method) ? 'code-503' : '';
      assert.equal(answered({}, head(status), method), expected, `${method} ${status}`);
    }
  }
});

test('what is no failure of one attempt is never repeated, whatever the route states', () => {
  const every: RetryCondition[] = [
    '5xx',
    'gateway-error',
    'reset',
    'reset-before-request',
    'connect-failure',
    'refused-stream',
  ];
  for (const kind of Object.keys(FAILURE_KINDS) as FailureKind[]) {
    if (ATTEMPT_KINDS.includes(kind) || kind === 'refused-stream') continue;
    for (const retryOn of [[], every]) {
      for (const started of [true, false])
        assert.equal(reason({ retryOn }, kind, 'GET', started, true), '', kind);
    }
  }
});

test('attempts: 0 switches every retry off', () => {
  const config = { attempts: 0, retryOn: ['5xx', 'reset'] as RetryCondition[], codes: [503] };
  for (const kind of [...ATTEMPT_KINDS, 'refused-stream'] as const)
    assert.equal(reason(config, kind, 'GET', false), '');
  assert.equal(answered(config, head(503), 'GET'), '');
  assert.equal(answered({ attempts: 0 }, head(503), 'GET'), '');
});

/** Condition, failures of attempts that it covers, once a byte was sent. */
const CONDITIONS: readonly (readonly [RetryCondition, readonly FailureKind[]])[] = [
  ['5xx', ATTEMPT_KINDS],
  ['gateway-error', ATTEMPT_KINDS],
  ['reset', ATTEMPT_KINDS],
  ['connect-failure', CONNECT_KINDS],
  ['reset-before-request', []],
  ['refused-stream', []],
  ['retriable-4xx', []],
  ['retriable-status-codes', []],
  ['retriable-headers', []],
  ['envoy-ratelimited', []],
  ['cancelled', []],
  ['deadline-exceeded', []],
  ['internal', []],
  ['resource-exhausted', []],
  ['unavailable', []],
];

test('a refused stream is covered by its own condition and by those for resets, as in Envoy', () => {
  for (const [condition] of CONDITIONS) {
    const covers = ['5xx', 'gateway-error', 'reset', 'refused-stream'].includes(condition);
    const expected = covers ? condition : '';
    assert.equal(reason({ retryOn: [condition] }, 'refused-stream', 'POST', true, true), expected, condition);
  }
  assert.equal(reason({ retryOn: ['5xx', 'refused-stream'] }, 'refused-stream', 'POST'), 'refused-stream');
});

for (const [condition, kinds] of CONDITIONS) {
  test(`${condition} covers the failures that it covers in Envoy, for every method`, () => {
    for (const kind of ATTEMPT_KINDS) {
      for (const method of ['GET', 'POST']) {
        const expected = kinds.includes(kind) ? condition : '';
        assert.equal(
          reason({ retryOn: [condition] }, kind, method, true, true),
          expected,
          `${method} ${kind}`,
        );
      }
    }
  });
}

test('reset-before-request covers everything that ended before a byte was sent', () => {
  for (const kind of ATTEMPT_KINDS) {
    assert.equal(reason({ retryOn: ['reset-before-request'] }, kind, 'POST', false), 'reset-before-request');
  }
});

test('conditions on answers', () => {
  const POST = 'POST';
  for (const status of [500, 501, 503, 599])
    assert.equal(answered({ retryOn: ['5xx'] }, head(status), POST), '5xx');
  for (const status of [200, 302, 404, 409, 429, 499])
    assert.equal(answered({ retryOn: ['5xx'] }, head(status), POST), '');
  for (const status of [502, 503, 504]) {
    assert.equal(answered({ retryOn: ['gateway-error'] }, head(status), POST), 'gateway-error');
  }
  for (const status of [500, 501, 505])
    assert.equal(answered({ retryOn: ['gateway-error'] }, head(status), POST), '');
  assert.equal(answered({ retryOn: ['retriable-4xx'] }, head(409), POST), 'retriable-4xx');
  for (const status of [400, 404, 408, 425, 429]) {
    assert.equal(answered({ retryOn: ['retriable-4xx'] }, head(status), POST), '');
  }
});

test('a route that states conditions gets those and not the defaults', () => {
  assert.equal(answered({ retryOn: ['connect-failure'] }, head(503), 'GET'), '');
  assert.equal(reason({ retryOn: ['connect-failure'] }, 'closed-before-response', 'GET', true, true), '');
  assert.equal(reason({ retryOn: ['retriable-4xx'] }, 'connect-refused', 'GET', false), '');
});

test('codes hold for every method, with or without a condition, and replace the default 503', () => {
  for (const retryOn of [[], ['connect-failure'], ['retriable-status-codes']] as RetryCondition[][]) {
    assert.equal(answered({ retryOn, codes: [500, 429] }, head(500), 'POST'), 'code-500');
    assert.equal(answered({ retryOn, codes: [500, 429] }, head(429), 'POST'), 'code-429');
    assert.equal(answered({ retryOn, codes: [500, 429] }, head(503), 'GET'), '');
  }
  assert.equal(answered({ codes: [503] }, head(503), 'POST'), 'code-503');
  assert.equal(reason({ codes: [503] }, 'connect-refused', 'POST', false), 'connect-failure');
});

test('retriable headers: present, or with their value', () => {
  const config = {
    retriableHeaders: [
      { name: 'x-try-again', value: null },
      { name: 'x-state', value: 'busy' },
    ],
  };
  assert.equal(answered(config, head(200, 'X-Try-Again', ''), 'POST'), 'retriable-headers');
  assert.equal(answered(config, head(200, 'X-State', 'busy'), 'POST'), 'retriable-headers');
  assert.equal(answered(config, head(200, 'X-State', 'fine'), 'POST'), '');
  assert.equal(answered(config, head(503), 'POST'), '');
});

const GRPC_CONDITIONS: readonly (readonly [RetryCondition, status: number])[] = [
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['resource-exhausted', 8],
  ['internal', 13],
  ['unavailable', 14],
];

test('gRPC conditions cover the status that they name, in the head of an answer', () => {
  for (const [condition, covered] of GRPC_CONDITIONS) {
    for (let status = 0; status <= 17; status++) {
      const expected = status === covered ? condition : '';
      const config = { retryOn: [condition, 'connect-failure'] as RetryCondition[] };
      assert.equal(
        answered(config, trailersOnly(String(status)), 'POST'),
        expected,
        `${condition} ${status}`,
      );
    }
    for (const status of ['', '014', '14 ', '-1', 'x', '99999999999'])
      assert.equal(answered({ retryOn: [condition] }, trailersOnly(status), 'POST'), '', status);
    assert.equal(
      answered({ retryOn: [condition] }, head(503), 'POST'),
      '',
      'an HTTP status is none of theirs',
    );
  }
});

test('a gRPC status is no reason where no condition names it', () => {
  for (let status = 0; status <= 16; status++) {
    for (const method of ['POST', 'GET'])
      assert.equal(answered({}, trailersOnly(String(status)), method), '', `${method} ${status}`);
    assert.equal(answered({ retryOn: ['5xx', 'gateway-error'] }, trailersOnly(String(status)), 'POST'), '');
  }
});

test('conditions on HTTP and on gRPC statuses stand beside each other', () => {
  const config = { retryOn: ['unavailable', '5xx'] as RetryCondition[], codes: [200] };
  assert.equal(answered({ ...config, codes: [] }, trailersOnly('14'), 'POST'), 'unavailable');
  assert.equal(answered(config, head(503), 'POST'), '5xx');
  const limited = head(200, 'grpc-status', '14', 'x-envoy-ratelimited', 'true');
  assert.equal(answered({ retryOn: ['unavailable'] }, limited, 'POST'), '');
});

test('a rate-limited answer is repeated only where the route says so', () => {
  const limited = (status: number) => head(status, 'X-Envoy-RateLimited', 'true');
  assert.equal(answered({ retryOn: ['5xx'] }, limited(503), 'GET'), '');
  assert.equal(answered({}, limited(503), 'GET'), '');
  assert.equal(answered({ codes: [429] }, limited(429), 'GET'), '');
  assert.equal(answered({ retryOn: ['envoy-ratelimited'] }, limited(429), 'POST'), 'envoy-ratelimited');
  assert.equal(answered({ retryOn: ['envoy-ratelimited'] }, head(429), 'POST'), '');
});

test('decisions are shared objects', () => {
  const policy = compileRetry(retryConfig({ retryOn: ['5xx'] }));
  assert.equal(afterHead(policy, head(500), 'GET'), afterHead(policy, head(502), 'GET'));
});
