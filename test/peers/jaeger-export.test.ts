/**
 * A real Jaeger: a retried call through three services is one trace in it, read as web → cart → stock; stopped
 * and started again under load, it costs counted spans only.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../src/base/index.ts';
import { OtlpExporter, type OtlpStats } from '../../src/controlplane/export/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import {
  type AttemptRecord,
  RandomIds,
  type Recorder,
  type TraceContext,
} from '../../src/telemetry/index.ts';
import { choosePorts, eventually, type JaegerSpan, startJaeger, stopJaeger, traceOf } from '../kit/jaeger.ts';
import { peer } from '../kit/peers.ts';
import { answered, attempt, type Bench, bench } from '../telemetry/kit.ts';

const jaeger = peer('jaeger');
/** One hop: what the proxy records of a request to `service` that came with `headers`; they leave as the next hop gets them. */
function hop(made: Bench, service: string, headers: HeaderList, fails: boolean): TraceContext {
  const { recorder, clock } = made;
  const trace = recorder.readTrace(headers);
  const record = answered(clock, { service, serviceSlot: -1, rule: `${service}/0`, trace });
  record.attempts.length = 0;
  if (fails) {
    record.attempts.push(
      attempted(
        recorder,
        trace,
        attempt(record, {
          status: 0,
          failure: failure('connect-refused', 'ECONNREFUSED'),
          endMs: record.startMs + 2,
        }),
      ),
    );
  }
  const good = attempt(record, {
    startMs: record.startMs + 4,
    retryReason: fails ? 'connect-failure' : '',
    endpoint: '127.0.0.1:9002',
  });
  record.attempts.push(attempted(recorder, trace, good));
  recorder.writeTrace(headers, trace, good.spanId);
  recorder.finish(record);
  clock.advance(1);
  return trace;
}

function attempted(recorder: Recorder, trace: TraceContext, made: AttemptRecord): AttemptRecord {
  made.spanId = recorder.attemptSpanId(trace);
  return made;
}

function assertBalanced(stats: OtlpStats): void {
  const { offered, exported, rejected, droppedQueueFull, droppedExportFailed, queued, inFlight } = stats;
  assert.equal(
    exported + rejected + droppedQueueFull + droppedExportFailed + queued + inFlight,
    offered,
    JSON.stringify(stats),
  );
}

test('Jaeger holds web → cart → stock as one trace, and survives its own restart', {
  skip: jaeger.skip,
  timeout: 120_000,
}, async (t) => {
  const ports = await choosePorts();
  let child = await startJaeger(jaeger.path as string, ports);
  t.after(() => stopJaeger(child));
  const made = bench({ ids: new RandomIds() });
  const otlp = new OtlpExporter({
    endpoint: `http://127.0.0.1:${ports.otlp}`,
    queue: 200,
    delayMs: 20,
    post: { timeoutMs: 2_000, totalMs: 100, backoffMs: 10 },
  });
  t.after(() => otlp.shutdown(1_000));
  const exportAll = (): void => {
    made.recorder.flush();
    for (const batch of made.batches.splice(0)) {
      otlp.add(batch.spans);
      made.recorder.taken(1);
    }
  };
  const send = (): string => {
    const headers = HeaderList.empty();
    const { traceId } = hop(made, 'web', headers, false);
    hop(made, 'cart', headers, true);
    hop(made, 'stock', headers, false);
    exportAll();
    return traceId;
  };

  await t.test('joined, with the failed and the good attempt', async () => {
    const trace = await traceOf(ports, send(), 7);
    const byId = new Map(trace.spans.map((span) => [span.spanID, span]));
    const serviceOf = (span: JaegerSpan): string => trace.processes[span.processID]?.serviceName ?? '';
    const tag = (span: JaegerSpan, key: string): unknown => span.tags.find((one) => one.key === key)?.value;
    const parentOf = (span: JaegerSpan): JaegerSpan | undefined => byId.get(span.references[0]?.spanID ?? '');
    const servers = trace.spans
      .filter((span) => tag(span, 'span.kind') === 'server')
      .sort((a, b) => a.startTime - b.startTime);
    assert.deepEqual(servers.map(serviceOf), ['web', 'cart', 'stock']);
    const callers = servers
      .map((span) => parentOf(span))
      .map((span) => span && `${tag(span, 'span.kind')} of ${serviceOf(span)}`);
    assert.deepEqual(callers, [undefined, 'client of web', 'client of cart']);
    const attempts = trace.spans
      .filter((span) => parentOf(span) === servers[1])
      .sort((a, b) => a.startTime - b.startTime);
    assert.deepEqual(
      attempts.map((span) => [
        tag(span, 'outboard.attempt'),
        tag(span, 'outboard.response_flags'),
        tag(span, 'error') ?? false,
        tag(span, 'outboard.retry_reason'),
      ]),
      [
        [1, 'UF', true, undefined],
        [2, '-', false, 'connect-failure'],
      ],
    );
    assert.equal(servers[0]?.duration, 12_500);
  });

  await t.test(
    'stopped under load: spans are dropped and counted; started again: new traces arrive',
    async () => {
      await stopJaeger(child);
      await eventually('the loss is noticed', async () => {
        for (let i = 0; i < 60; i++) send();
        const { droppedExportFailed, droppedQueueFull } = otlp.stats();
        return droppedExportFailed > 0 && droppedQueueFull > 0;
      });
      assertBalanced(otlp.stats());
      assert.notEqual(otlp.stats().lastError, '');
      child = await startJaeger(jaeger.path as string, ports);
      const exported = otlp.stats().exported;
      await eventually('exporting works again', async () => {
        send();
        return otlp.stats().exported > exported;
      });
      await eventually('the queue is empty', async () => otlp.stats().queued + otlp.stats().inFlight === 0);
      await traceOf(ports, send(), 7);
      assertBalanced(otlp.stats());
    },
  );
});
