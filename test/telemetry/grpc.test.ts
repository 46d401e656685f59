/** What is recorded of gRPC calls: labels, the log line, spans, decision records, and which statuses are errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, failure } from '../../src/base/index.ts';
import { accessLogLine } from '../../src/telemetry/access-log-line.ts';
import type { AttemptRecord, RequestRecord } from '../../src/telemetry/index.ts';
import { answered, attempt, type Bench, cluster, ready, TRACED } from './kit.ts';

/** A call that ended with this status, in one attempt. */
function call(clock: FakeClock, grpcStatus: number, parts: Partial<RequestRecord> = {}): RequestRecord {
  const record = answered(clock, {
    method: 'POST',
    target: '/shop.v1.Cart/AddItem',
    protocol: 'HTTP/2',
    grpc: true,
    grpcStatus,
    ...parts,
  });
  for (const made of record.attempts) made.grpcStatus = grpcStatus;
  return record;
}

function labels(made: Bench): string[] {
  return made
    .series()
    .filter(({ block }) => block === 'request')
    .map(({ labels }) => `${labels.request_protocol} ${labels.response_code} ${labels.grpc_response_status}`);
}

test('series differ by gRPC status, and are found again', () => {
  const made = ready();
  for (let round = 0; round < 3; round++) {
    for (const status of [0, 14, -1, 16]) made.recorder.finish(call(made.clock, status));
    made.recorder.finish(answered(made.clock));
  }
  assert.deepEqual(labels(made), ['grpc 200 0', 'grpc 200 14', 'grpc 200 ', 'grpc 200 16', 'http 200 ']);
  const totals = made
    .series()
    .filter(({ block }) => block === 'request')
    .map(({ offset }) => made.cells.read(offset));
  assert.deepEqual(totals, [3, 3, 3, 3, 3]);
});

test('the log line of a call states its status, other lines say nothing of it', () => {
  const read = (record: RequestRecord) => JSON.parse(accessLogLine(record, '-')) as Record<string, unknown>;
  const clock = new FakeClock();
  assert.equal(read(call(clock, 14)).grpc_status, 14);
  assert.equal(read(call(clock, 0)).grpc_status, 0);
  assert.equal(read(call(clock, -1)).grpc_status, null);
  assert.equal('grpc_status' in read(answered(clock)), false);
});

/** Status → is it an error of the server span, and of the client span (OpenTelemetry's conventions for gRPC). */
const ERRORS: readonly (readonly [status: number, server: boolean, client: boolean])[] = [
  [0, false, false],
  [1, false, true],
  [2, true, true],
  [3, false, true],
  [4, true, true],
  [5, false, true],
  [6, false, true],
  [7, false, true],
  [8, false, true],
  [9, false, true],
  [10, false, true],
  [11, false, true],
  [12, true, true],
  [13, true, true],
  [14, true, true],
  [15, true, true],
  [16, false, true],
];

test('which statuses make a span an error, and a decision record', () => {
  for (const [status, server, client] of ERRORS) {
    const made = ready();
    const record = call(made.clock, status, { trace: made.recorder.readTrace(TRACED) });
    for (const each of record.attempts) each.spanId = made.recorder.attemptSpanId(record.trace);
    made.recorder.finish(record);
    made.recorder.flush();
    const spans = made.batches.flatMap(({ spans }) => spans);
    assert.deepEqual(
      spans.map(({ kind, isError }) => [kind, isError]),
      [
        ['server', server],
        ['client', client],
      ],
      `status ${status}`,
    );
    const decisions = made.batches.flatMap(({ decisions }) => decisions);
    assert.deepEqual(
      decisions.map(({ verdict }) => verdict),
      server ? ['upstream-error'] : [],
    );
  }
});

test('spans of a call are called by service and method, and have the attributes of gRPC', () => {
  const made = ready();
  const record = call(made.clock, 14, { trace: made.recorder.readTrace(TRACED) });
  const [first] = record.attempts as [AttemptRecord];
  first.spanId = made.recorder.attemptSpanId(record.trace);
  made.recorder.finish(record);
  made.recorder.flush();
  for (const { name, attributes } of made.batches.flatMap(({ spans }) => spans)) {
    assert.equal(name, 'shop.v1.Cart/AddItem');
    assert.deepEqual(
      ['rpc.system', 'rpc.service', 'rpc.method', 'rpc.grpc.status_code', 'error.type'].map(
        (key) => attributes[key],
      ),
      ['grpc', 'shop.v1.Cart', 'AddItem', 14, 'UNAVAILABLE'],
    );
  }
});

test('a path that names no method leaves the name of an HTTP span', () => {
  for (const target of ['/', '/a', '/a/', '/a/b/c', '//b', '/a/b?c', '*']) {
    const made = ready();
    const record = call(made.clock, 0, { target, trace: made.recorder.readTrace(TRACED) });
    record.attempts.length = 0;
    made.recorder.finish(record);
    made.recorder.flush();
    const [span] = made.batches.flatMap(({ spans }) => spans);
    assert.equal(span?.name, 'POST cart/0', target);
    assert.equal(span?.attributes['rpc.system'], 'grpc');
    assert.equal('rpc.service' in (span?.attributes ?? {}), false);
  }
});

test("a client's fault is no error of the server span, whatever status it was given", () => {
  const made = ready();
  const why = failure('bad-grpc-web');
  const record = call(made.clock, 13, { failure: why, trace: made.recorder.readTrace(TRACED) });
  record.attempts.length = 0;
  made.recorder.finish(record);
  made.recorder.flush();
  const [span] = made.batches.flatMap(({ spans }) => spans);
  assert.equal(span?.isError, false);
  const [decision] = made.batches.flatMap(({ decisions }) => decisions);
  assert.deepEqual([decision?.verdict, decision?.grpcStatus], ['refused', 'INTERNAL']);
});

test('a decision names statuses as gRPC does, and a rescued call is a success only without a server error', () => {
  for (const [last, verdict, successes] of [
    [0, 'recovered', 1],
    [5, 'recovered', 1],
    [14, 'upstream-error', 0],
  ] as const) {
    const made = ready();
    const record = call(made.clock, last);
    (record.attempts[0] as AttemptRecord).grpcStatus = 14;
    record.attempts.push(attempt(record, { grpcStatus: last, retryReason: 'unavailable' }));
    made.recorder.finish(record);
    made.recorder.flush();
    const [decision] = made.batches.flatMap(({ decisions }) => decisions);
    assert.equal(decision?.verdict, verdict);
    assert.equal(decision?.grpcStatus, last === 0 ? 'OK' : last === 5 ? 'NOT_FOUND' : 'UNAVAILABLE');
    assert.deepEqual(
      decision?.attempts.map(({ outcome }) => outcome),
      ['UNAVAILABLE', decision?.grpcStatus],
    );
    assert.equal(cluster(made, 'upstreamRqRetrySuccess'), successes);
  }
});

test("a deadline of the client's counts as a timeout, and a refused stream as a reset", () => {
  const made = ready();
  const late = call(made.clock, 4, { failure: failure('deadline') });
  (late.attempts[0] as AttemptRecord).failure = failure('deadline');
  made.recorder.finish(late);
  assert.equal(cluster(made, 'upstreamRqTimeout'), 1);
  assert.equal(cluster(made, 'upstreamRqTxReset'), 1);
  const refused = call(made.clock, 14, { failure: failure('refused-stream') });
  (refused.attempts[0] as AttemptRecord).failure = failure('refused-stream');
  made.recorder.finish(refused);
  assert.equal(cluster(made, 'upstreamRqRxReset'), 1);
  assert.equal(cluster(made, 'upstreamRqTotal'), 2);
});
