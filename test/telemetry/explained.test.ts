/** What explains a request that was retried, refused or failed: spans, the decision record, Envoy's counters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../src/base/index.ts';
import {
  type COUNTER,
  FAILURE_CELL,
  type RequestRecord,
  type RetryRefusal,
} from '../../src/telemetry/index.ts';
import { answered, attempt, cluster, listener, ready, TRACED } from './kit.ts';

test('a retried request: attempts, spans and the decision that explains it', () => {
  const made = ready();
  const record = answered(made.clock, {
    trace: made.recorder.readTrace(TRACED),
    service: '',
  });
  record.service = 'cart';
  const first = attempt(record, {
    status: 0,
    failure: failure('connect-refused', 'ECONNREFUSED'),
    endMs: record.startMs + 2,
  });
  const second = attempt(record, {
    startMs: record.startMs + 4,
    backoffMs: 1.5,
    retryReason: 'connect-failure',
    endpoint: '127.0.0.1:9002',
    choice: 'priority 1, degraded',
  });
  first.spanId = made.recorder.attemptSpanId(record.trace);
  second.spanId = made.recorder.attemptSpanId(record.trace);
  record.attempts.push(first, second);
  made.recorder.finish(record);
  made.recorder.flush();

  assert.equal(cluster(made, 'upstreamRqTotal'), 1, 'the first attempt reached no endpoint');
  assert.equal(cluster(made, 'upstreamRqRetry'), 1);
  assert.equal(cluster(made, 'upstreamRqRetrySuccess'), 1);
  assert.equal(cluster(made, 'upstreamRqRetryBackoffExponential'), 1);

  const batch = made.batches.find(({ spans }) => spans.length > 0);
  assert.deepEqual(
    batch?.spans.map(({ kind, name, service, parentSpanId, isError, errorText }) => ({
      kind,
      name,
      service,
      parentSpanId,
      isError,
      errorText,
    })),
    [
      {
        kind: 'server',
        name: 'GET cart/0',
        service: 'cart',
        parentSpanId: '00f067aa0ba902b7',
        isError: false,
        errorText: '',
      },
      {
        kind: 'client',
        name: 'GET cart',
        service: 'cart',
        parentSpanId: record.trace?.spanId,
        isError: true,
        errorText: 'connect-refused: ECONNREFUSED',
      },
      {
        kind: 'client',
        name: 'GET cart',
        service: 'cart',
        parentSpanId: record.trace?.spanId,
        isError: false,
        errorText: '',
      },
    ],
  );
  const [server, failed, good] = batch?.spans ?? [];
  assert.ok(server && failed && good);
  assert.equal(server.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
  assert.deepEqual(server.attributes, {
    'http.request.method': 'GET',
    'url.path': '/items',
    'url.query': 'limit=2',
    'url.scheme': 'http',
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'network.peer.address': '10.0.0.7',
    'network.peer.port': 40_000,
    'server.address': 'cart.shop',
    'server.port': 8_443,
    'user_agent.original': 'curl/8.0',
    'http.request.body.size': 7,
    'http.response.body.size': 120,
    'http.response.status_code': 200,
    'outboard.listener': 'web',
    'outboard.rule': 'cart/0',
    'outboard.request_id': 'req-1',
    'outboard.attempts': 2,
    'outboard.response_flags': '-',
  });
  assert.deepEqual(failed.attributes, {
    'http.request.method': 'GET',
    'network.protocol.name': 'http',
    'network.peer.address': '127.0.0.1',
    'network.peer.port': 9_001,
    'server.address': '127.0.0.1',
    'server.port': 9_001,
    'outboard.attempt': 1,
    'outboard.upstream_cluster': 'cart',
    'outboard.response_flags': 'UF',
    'outboard.reason': 'connect-refused',
    'outboard.connection_reused': false,
    'outboard.connect_ms': 0.25,
    'error.type': 'connect-refused',
  });
  assert.equal(good.attributes['http.request.resend_count'], 1);
  assert.equal(good.attributes['outboard.retry_reason'], 'connect-failure');
  assert.equal(good.attributes['outboard.backoff_ms'], 1.5);
  assert.equal(good.attributes['outboard.choice'], 'priority 1, degraded');
  assert.equal(server.startMs, record.startWallMs);
  assert.equal(server.endMs - server.startMs, 12.5);
  assert.equal(good.startMs - server.startMs, 4);

  assert.deepEqual(batch?.decisions, [
    {
      requestId: 'req-1',
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      time: '2023-11-14T22:13:21.000Z',
      listener: 'web',
      method: 'GET',
      authority: 'cart.shop:8443',
      path: '/items?limit=2',
      rule: 'cart/0',
      service: 'cart',
      verdict: 'recovered',
      status: 200,
      grpcStatus: '',
      code: '',
      flags: '-',
      detail: '',
      limit: '',
      limitValue: -1,
      observedValue: -1,
      mirrors: [],
      shadowedBy: '',
      failedOpen: '',
      retryRefused: '',
      durationMs: 12.5,
      attempts: [
        {
          attempt: 1,
          service: 'cart',
          endpoint: '127.0.0.1:9001',
          choice: '',
          outcome: 'connect-refused',
          flags: 'UF',
          detail: 'ECONNREFUSED',
          reason: '',
          backoffMs: 0,
          connectMs: 0.25,
          durationMs: 1,
          reusedConnection: false,
          ejectedEndpoint: false,
        },
        {
          attempt: 2,
          service: 'cart',
          endpoint: '127.0.0.1:9002',
          choice: 'priority 1, degraded',
          outcome: '200',
          flags: '-',
          detail: '',
          reason: 'connect-failure',
          backoffMs: 1.5,
          connectMs: 0.25,
          durationMs: 8,
          reusedConnection: false,
          ejectedEndpoint: false,
        },
      ],
      cure: '',
    },
  ]);
  assert.deepEqual(structuredClone(batch), batch, 'a batch crosses to the supervisor unchanged');
});

test('a request refused by a breaker says which limit and what was observed', () => {
  const made = ready();
  const record = answered(made.clock, {
    status: 503,
    failure: failure('max-requests'),
    limit: 'circuitBreaker.maxRequests',
    limitValue: 10,
    observedValue: 10,
  });
  record.attempts.length = 0;
  made.recorder.finish(record);
  made.recorder.flush();
  const decision = made.batches.flatMap(({ decisions }) => decisions)[0];
  assert.equal(decision?.verdict, 'refused');
  assert.equal(decision?.code, 'max-requests');
  assert.equal(decision?.flags, 'UO');
  assert.deepEqual(
    [decision?.limit, decision?.limitValue, decision?.observedValue],
    ['circuitBreaker.maxRequests', 10, 10],
  );
  assert.match(decision?.cure ?? '', /maxRequests is reached/);
  assert.equal(cluster(made, 'upstreamRqPendingOverflow'), 1);
  assert.equal(cluster(made, 'upstreamRqTotal'), 0);
  assert.equal(listener(made, FAILURE_CELL['max-requests']), 1);
});

/** Why a request ended, then flags, verdict and the counter that says so. */
const OUTCOMES: readonly (readonly [
  name: string,
  parts: Partial<RequestRecord>,
  flags: string,
  verdict: string,
  counter: keyof typeof COUNTER,
])[] = [
  [
    'attempts used up',
    { status: 503, retryRefused: 'attempts' },
    'URX',
    'upstream-error',
    'upstreamRqRetryLimitExceeded',
  ],
  [
    'attempts used up on failures',
    { status: 503, retryRefused: 'attempts', failure: failure('connect-refused') },
    'UF,URX',
    'failed',
    'upstreamRqRetryLimitExceeded',
  ],
  [
    'budget empty',
    { status: 503, retryRefused: 'budget' },
    'UO',
    'upstream-error',
    'upstreamRqRetryOverflow',
  ],
  [
    'maxRetries reached',
    { status: 503, retryRefused: 'max-retries', failure: failure('reset-before-response') },
    'UR,UO',
    'failed',
    'upstreamRqRetryOverflow',
  ],
  [
    'body not replayable',
    { status: 503, retryRefused: 'body' },
    '-',
    'upstream-error',
    'retryOrShadowAbandoned',
  ],
  [
    'request timeout',
    { status: 504, failure: failure('request-timeout') },
    'UT',
    'failed',
    'upstreamRqTimeout',
  ],
  ['endpoint answers 500', { status: 500 }, '-', 'upstream-error', 'upstreamRq5xx'],
];

for (const [name, parts, flags, verdict, counter] of OUTCOMES) {
  test(`outcome: ${name}`, () => {
    const made = ready();
    made.recorder.finish(answered(made.clock, parts));
    made.recorder.flush();
    const decision = made.batches.flatMap(({ decisions }) => decisions)[0];
    assert.deepEqual([decision?.flags, decision?.verdict], [flags, verdict]);
    assert.equal(cluster(made, counter), 1);
    assert.notEqual(decision?.cure, '');
  });
}

test('every reason not to retry has a cure', () => {
  const reasons: Exclude<RetryRefusal, ''>[] = [
    'attempts',
    'budget',
    'max-retries',
    'body',
    'timeout',
    'started',
    'no-endpoint',
  ];
  const made = ready();
  for (const retryRefused of reasons)
    made.recorder.finish(answered(made.clock, { status: 503, retryRefused }));
  made.recorder.flush();
  const cures = made.batches.flatMap(({ decisions }) => decisions).map(({ cure }) => cure);
  assert.equal(new Set(cures).size, reasons.length);
});
