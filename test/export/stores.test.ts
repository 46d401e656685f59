/** The stores behind `/traces` and `/decisions`: order, look-up, bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { DecisionStore, TraceStore, tracesAsText } from '../../src/controlplane/export/index.ts';
import type { Decision, SpanRecord } from '../../src/telemetry/index.ts';

function decision(requestId: string, status = 503): Decision {
  return {
    requestId,
    traceId: '',
    time: '2023-11-14T22:13:21.000Z',
    listener: 'web',
    method: 'GET',
    authority: '',
    path: '/',
    rule: '',
    service: '',
    verdict: 'refused',
    status,
    grpcStatus: '',
    code: 'max-requests',
    flags: 'UO',
    detail: '',
    limit: '',
    limitValue: -1,
    observedValue: -1,
    mirrors: [],
    shadowedBy: '',
    failedOpen: '',
    retryRefused: '',
    durationMs: 1,
    attempts: [],
    cure: '',
  };
}

function span(traceId: string, spanId: string, parts: Partial<SpanRecord> = {}): SpanRecord {
  return {
    traceId,
    spanId,
    parentSpanId: '',
    parentIsRemote: false,
    traceState: '',
    name: 'GET cart/0',
    kind: 'server',
    service: 'cart',
    startMs: 1_700_000_000_000,
    endMs: 1_700_000_000_010,
    isError: false,
    errorText: '',
    attributes: { 'http.response.status_code': 200, 'outboard.response_flags': '-' },
    ...parts,
  };
}

test('decisions are found by request, newest first, also when hops share an id', () => {
  const store = new DecisionStore();
  store.add([decision('a', 500), decision('b'), decision('a', 502)]);
  assert.deepEqual(
    store.find({ requestId: 'a', limit: 10 }).map(({ status }) => status),
    [502, 500],
  );
  assert.deepEqual(
    store.find({ requestId: 'a', limit: 1 }).map(({ status }) => status),
    [502],
  );
  assert.deepEqual(
    store.find({ requestId: null, limit: 2 }).map(({ requestId }) => requestId),
    ['a', 'b'],
  );
  assert.deepEqual(store.find({ requestId: 'c', limit: 10 }), []);
});

test('the oldest decisions make room, and are not found any more', () => {
  const store = new DecisionStore(3);
  for (const id of ['a', 'a', 'b', 'a', 'c']) store.add([decision(id)]);
  assert.deepEqual(
    store.find({ requestId: null, limit: 10 }).map(({ requestId }) => requestId),
    ['c', 'a', 'b'],
  );
  assert.equal(store.find({ requestId: 'a', limit: 10 }).length, 1);
  store.add([decision('d'), decision('e'), decision('f')]);
  for (const id of ['a', 'b', 'c']) assert.deepEqual(store.find({ requestId: id, limit: 10 }), []);
});

test('spans of one trace come together whichever batch they came in, newest trace first', () => {
  const store = new TraceStore();
  store.add([span('t1', 'a', { startMs: 20, endMs: 30 }), span('t2', 'b')]);
  store.add([span('t1', 'c', { startMs: 10, endMs: 50, service: 'web', isError: true })]);
  const traces = store.find({ traceId: null, limit: 10 });
  assert.deepEqual(
    traces.map(({ traceId }) => traceId),
    ['t1', 't2'],
  );
  const [first] = traces;
  assert.deepEqual(
    first?.spans.map(({ spanId }) => spanId),
    ['c', 'a'],
  );
  assert.deepEqual(first?.services, ['web', 'cart']);
  assert.equal(first?.durationMs, 40);
  assert.equal(first?.hasError, true);
  assert.deepEqual(
    store.find({ traceId: 't2', limit: 1 }).map(({ traceId }) => traceId),
    ['t2'],
  );
  assert.deepEqual(store.find({ traceId: 't3', limit: 1 }), []);
});

test('a trace without end is cut and says so', () => {
  const store = new TraceStore();
  for (let i = 0; i < LIMITS.spansPerTraceKept + 7; i++) store.add([span('t', `s${i}`)]);
  const [trace] = store.find({ traceId: 't', limit: 1 });
  assert.equal(trace?.spans.length, LIMITS.spansPerTraceKept);
  assert.equal(trace?.spansDropped, 7);
  assert.match(tracesAsText(trace ? [trace] : []), /7 more spans were not kept/);
});

test('traces are bounded by number, and by spans in all', () => {
  const many = new TraceStore();
  for (let i = 0; i < LIMITS.tracesKept + 5; i++) many.add([span(`t${i}`, 's')]);
  assert.equal(many.size, LIMITS.tracesKept);
  assert.deepEqual(many.find({ traceId: 't4', limit: 1 }), []);
  const wide = new TraceStore();
  for (let i = 0; i < 100; i++) {
    for (let s = 0; s < LIMITS.spansPerTraceKept; s++) wide.add([span(`t${i}`, `s${s}`)]);
  }
  assert.equal(wide.size, Math.floor(LIMITS.spansKept / LIMITS.spansPerTraceKept));
});

test('a trace as text reads from caller to callee, with the retry in it', () => {
  const store = new TraceStore();
  const at = 1_700_000_000_000;
  store.add([
    span('t', 'w', { service: 'web', name: 'GET web/0', startMs: at, endMs: at + 30 }),
    span('t', 'w1', {
      parentSpanId: 'w',
      kind: 'client',
      service: 'web',
      name: 'GET web',
      startMs: at + 1,
      endMs: at + 29,
      attributes: {
        'server.address': '127.0.0.1',
        'server.port': 9000,
        'http.response.status_code': 200,
        'outboard.response_flags': '-',
      },
    }),
    span('t', 'c', { parentSpanId: 'w1', startMs: at + 5, endMs: at + 25 }),
    span('t', 'c1', {
      parentSpanId: 'c',
      kind: 'client',
      name: 'GET cart',
      startMs: at + 6,
      endMs: at + 8,
      isError: true,
      errorText: 'connect-refused',
      attributes: { 'server.address': '127.0.0.1', 'server.port': 9001, 'outboard.response_flags': 'UF' },
    }),
    span('t', 'c2', {
      parentSpanId: 'c',
      kind: 'client',
      name: 'GET cart',
      startMs: at + 10,
      endMs: at + 24,
      attributes: {
        'server.address': '127.0.0.1',
        'server.port': 9002,
        'http.response.status_code': 200,
        'outboard.response_flags': '-',
        'outboard.retry_reason': 'connect-failure',
      },
    }),
  ]);
  assert.equal(
    tracesAsText(store.find({ traceId: 't', limit: 1 })),
    [
      'trace t  2023-11-14T22:13:20.000Z  30 ms  web → cart',
      '  +0 ms  web  GET web/0  200  30 ms',
      '    +1 ms  → 127.0.0.1:9000  GET web  200  28 ms',
      '      +5 ms  cart  GET cart/0  200  20 ms',
      '        +6 ms  → 127.0.0.1:9001  GET cart  -  UF  connect-refused  2 ms',
      '        +10 ms  → 127.0.0.1:9002  GET cart  200  retry: connect-failure  14 ms',
      '',
    ].join('\n'),
  );
});

test('spans that name each other as parent are shown once each', () => {
  const store = new TraceStore();
  store.add([
    span('t', 'a', { parentSpanId: 'b' }),
    span('t', 'b', { parentSpanId: 'a' }),
    span('t', 'c', { parentSpanId: 'c' }),
  ]);
  assert.equal(
    tracesAsText(store.find({ traceId: 't', limit: 1 }))
      .trim()
      .split('\n').length,
    4,
  );
});
