/** What one ended request leaves behind, and how it is handed over. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure, LIMITS } from '../../src/base/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import { AccessLog, FAILURE_CELL, LISTENER_COUNTER, WORKER_COUNTER } from '../../src/telemetry/index.ts';
import { answered, type Bench, bench, cluster, facts, listener, mutualTls, ready, TRACED } from './kit.ts';

/** The cells of every request series, by its labels. */
function requestTotals(made: Bench): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const { block, offset, labels } of made.series()) {
    if (block !== 'request') continue;
    const key = `${labels.destination_service} ${labels.response_code} ${labels.response_flags} ${labels.connection_security_policy} ${labels.source_principal}`;
    totals[key] = made.cells.read(offset);
  }
  return totals;
}

test('an answered request counts once for service and listener, and leaves no decision', () => {
  const made = ready();
  made.recorder.finish(answered(made.clock));
  made.recorder.flush();
  assert.deepEqual(requestTotals(made), { 'cart 200 - none unknown': 1 });
  assert.equal(cluster(made, 'upstreamRqTotal'), 1);
  assert.equal(cluster(made, 'upstreamRqCompleted'), 1);
  assert.equal(cluster(made, 'upstreamRq2xx'), 1);
  assert.equal(cluster(made, 'upstreamRqRetry'), 0);
  assert.equal(listener(made, LISTENER_COUNTER.downstreamRqTotal), 1);
  assert.equal(listener(made, LISTENER_COUNTER.downstreamRq2xx), 1);
  assert.deepEqual(
    made.batches.filter(({ spans, decisions }) => spans.length + decisions.length > 0),
    [],
  );
});

test("the labels of a request series are Istio's", () => {
  const made = ready();
  made.recorder.metrics.addService('stock.shop.svc.cluster.local', 4);
  const record = answered(
    made.clock,
    { service: 'stock.shop.svc.cluster.local', serviceSlot: 4 },
    facts({ tls: mutualTls('spiffe://mesh/ns/shop/sa/web') }),
  );
  made.recorder.finish(record);
  const series = made.series().find(({ block }) => block === 'request');
  assert.deepEqual(series?.labels, {
    reporter: 'source',
    source_principal: 'spiffe://mesh/ns/shop/sa/web',
    source_workload: 'unknown',
    source_workload_namespace: 'unknown',
    destination_service: 'stock.shop.svc.cluster.local',
    destination_service_name: 'stock',
    destination_service_namespace: 'shop',
    destination_workload: 'unknown',
    destination_workload_namespace: 'shop',
    destination_principal: 'unknown',
    request_protocol: 'http',
    response_code: '200',
    grpc_response_status: '',
    response_flags: '-',
    connection_security_policy: 'mutual_tls',
  });
  assert.equal(series?.owner, 'stock.shop.svc.cluster.local');
});

test('series differ by status, flags, caller and mTLS, and are found again', () => {
  const made = ready();
  const callers = [facts(), facts({ tls: mutualTls('spiffe://a') }), facts({ tls: mutualTls('spiffe://b') })];
  for (let round = 0; round < 3; round++) {
    for (const caller of callers) {
      made.recorder.finish(answered(made.clock, {}, caller));
      made.recorder.finish(answered(made.clock, { status: 404 }, caller));
      made.recorder.finish(
        answered(made.clock, { status: 503, failure: failure('closed-before-response') }, caller),
      );
      made.recorder.finish(answered(made.clock, { status: 503, failure: failure('max-requests') }, caller));
    }
  }
  const totals = requestTotals(made);
  assert.equal(Object.keys(totals).length, 12);
  assert.ok(
    Object.values(totals).every((total) => total === 3),
    JSON.stringify(totals),
  );
});

test('a protocol error counts by kind for its listener, under no service', () => {
  const made = ready();
  const record = answered(made.clock, {
    service: '',
    serviceSlot: -1,
    rule: '',
    status: 400,
    failure: failure('obs-fold'),
  });
  made.recorder.finish(record);
  assert.equal(listener(made, FAILURE_CELL['obs-fold']), 1);
  assert.equal(listener(made, LISTENER_COUNTER.downstreamCxProtocolError), 1);
  assert.deepEqual(requestTotals(made), { 'unknown 400 DPE none unknown': 1 });
});

test('a failed TLS handshake is no request', () => {
  const made = ready();
  made.recorder.finish(
    answered(made.clock, {
      service: '',
      serviceSlot: -1,
      status: 0,
      failure: failure('tls-handshake', 'no shared cipher'),
    }),
  );
  assert.equal(listener(made, FAILURE_CELL['tls-handshake']), 1);
  assert.equal(listener(made, LISTENER_COUNTER.downstreamRqTotal), 0);
  assert.deepEqual(requestTotals(made), {});
});

test('spans are made for sampled requests only, and carry the configured name without a service', () => {
  const made = bench({ tracing: { sampling: 0, propagation: ['w3c'], serviceName: 'edge' } });
  const headers = HeaderList.empty();
  const unsampled = answered(made.clock, { trace: made.recorder.readTrace(headers) });
  assert.equal(made.recorder.attemptSpanId(unsampled.trace), '');
  made.recorder.finish(unsampled);
  made.recorder.configure({ sampling: 1, propagation: ['w3c'], serviceName: 'gate' });
  const sampled = answered(made.clock, {
    service: '',
    serviceSlot: -1,
    trace: made.recorder.readTrace(headers),
  });
  made.recorder.finish(sampled);
  made.recorder.flush();
  assert.deepEqual(
    made.batches.flatMap(({ spans }) => spans).map(({ service, spanId }) => [service, spanId]),
    [['gate', sampled.trace?.spanId]],
  );
});

test('malformed trace headers and replaced request ids are counted', () => {
  const made = ready();
  made.recorder.readTrace(HeaderList.of('traceparent', 'junk', 'b3', 'junk'));
  made.recorder.ensureRequestId(HeaderList.of('x-request-id', 'not sane'));
  assert.equal(made.recorder.metrics.worker.read(WORKER_COUNTER.traceHeadersInvalid), 2);
  assert.equal(made.recorder.metrics.worker.read(WORKER_COUNTER.requestIdsReplaced), 1);
});

test('when the supervisor falls behind, records are dropped and counted; when it is back, they flow', () => {
  const made = ready();
  const finishTraced = (): void =>
    made.recorder.finish(answered(made.clock, { trace: made.recorder.readTrace(TRACED) }));
  finishTraced();
  made.recorder.flush();
  made.recorder.taken(made.batches.length);
  const before = made.batches.length;
  const each = LIMITS.recordsPerBatch;
  for (let i = 0; i < (LIMITS.batchesInFlight + 2) * each; i++) finishTraced();
  assert.equal(made.batches.length - before, LIMITS.batchesInFlight);
  assert.ok(made.batches.slice(before).every(({ spans }) => spans.length === each));
  assert.equal(made.recorder.metrics.worker.read(WORKER_COUNTER.spansDropped), 2 * each);
  made.recorder.taken(LIMITS.batchesInFlight);
  finishTraced();
  made.recorder.flush();
  assert.equal(made.batches.at(-1)?.spans.length, 1);
});

test('series are announced even when the supervisor falls behind', () => {
  const made = ready();
  for (let i = 0; i < 2 * LIMITS.batchesInFlight; i++) made.recorder.metrics.addService(`s${i}`, 10 + i);
  assert.equal(
    made.series().filter(({ block }) => block === 'service').length,
    1 + 2 * LIMITS.batchesInFlight,
  );
});

test('decision records are capped per second, and what is over the cap is counted', () => {
  const made = ready();
  const refuse = (): void =>
    made.recorder.finish(answered(made.clock, { status: 503, failure: failure('max-requests') }));
  for (let i = 0; i < LIMITS.decisionsPerSecond + 5; i++) refuse();
  made.recorder.flush();
  const kept = (): number => made.batches.reduce((sum, { decisions }) => sum + decisions.length, 0);
  assert.equal(kept(), LIMITS.decisionsPerSecond);
  assert.equal(made.recorder.metrics.worker.read(WORKER_COUNTER.decisionsDropped), 5);
  made.clock.advance(1_000);
  refuse();
  made.recorder.flush();
  assert.equal(kept(), LIMITS.decisionsPerSecond + 1);
});

test('the log line is written for every request, and another log can take over', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'outboard-recorder-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const first = new AccessLog({ path: join(folder, 'a.log'), onError: assert.fail });
  const second = new AccessLog({ path: join(folder, 'b.log'), onError: assert.fail });
  const made = bench({ log: first });
  made.recorder.finish(answered(made.clock));
  made.recorder.finish(answered(made.clock, { service: '', status: 404, failure: failure('no-route') }));
  made.recorder.setLog(second);
  made.recorder.finish(answered(made.clock, { requestId: 'req-2' }));
  made.recorder.setLog(null);
  made.recorder.finish(answered(made.clock));
  await first.close(1_000);
  await second.close(1_000);
  const flags = readFileSync(join(folder, 'a.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as Record<string, unknown>).response_flags);
  assert.deepEqual(flags, ['-', 'NR']);
  assert.match(readFileSync(join(folder, 'b.log'), 'utf8'), /^[^\n]*"request_id":"req-2"[^\n]*\n$/);
  assert.equal(made.recorder.metrics.worker.read(WORKER_COUNTER.accessLogLines), 3);
});

test('begin takes the times, and finish sets the end where the exchange did not', () => {
  const made = ready();
  const record = made.recorder.begin(facts());
  assert.deepEqual([record.startMs, record.startWallMs], [made.clock.nowMs(), made.clock.wallMs()]);
  made.clock.advance(40);
  made.recorder.finish(record);
  assert.equal(record.endMs - record.startMs, 40);
});
