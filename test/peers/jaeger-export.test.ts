/**
 * A real Jaeger: a retried call through three services is one trace in it, read as web → cart → stock; stopped
 * and started again under load, it costs counted spans only.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure } from '../../src/base/index.ts';
import { OtlpExporter, type OtlpStats } from '../../src/controlplane/export/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import {
  type AttemptRecord,
  RandomIds,
  type Recorder,
  type TraceContext,
} from '../../src/telemetry/index.ts';
import { peer } from '../kit/peers.ts';
import { answered, attempt, type Bench, bench } from '../telemetry/kit.ts';

const jaeger = peer('jaeger');
const WAIT_MS = 30_000;

interface JaegerSpan {
  readonly spanID: string;
  readonly operationName: string;
  readonly processID: string;
  readonly startTime: number;
  readonly duration: number;
  readonly references: readonly { readonly refType: string; readonly spanID: string }[];
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
}

interface JaegerTrace {
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

/** Ports nobody listens on, all held until all are known. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

interface Ports {
  readonly otlp: number;
  readonly query: number;
  readonly admin: number;
  readonly flags: readonly string[];
}

async function choosePorts(): Promise<Ports> {
  const ports = await freePorts(10);
  const at = (index: number): string => `127.0.0.1:${ports[index]}`;
  return {
    otlp: ports[0] as number,
    query: ports[1] as number,
    admin: ports[2] as number,
    flags: [
      `--collector.otlp.http.host-port=${at(0)}`,
      `--query.http-server.host-port=${at(1)}`,
      `--admin.http.host-port=${at(2)}`,
      `--collector.otlp.grpc.host-port=${at(3)}`,
      `--query.grpc-server.host-port=${at(4)}`,
      `--collector.grpc-server.host-port=${at(5)}`,
      `--collector.http-server.host-port=${at(6)}`,
      `--http-server.host-port=${at(7)}`,
      `--processor.jaeger-compact.server-host-port=${at(8)}`,
      `--processor.jaeger-binary.server-host-port=${at(9)}`,
      '--processor.zipkin-compact.server-host-port=127.0.0.1:0',
      '--log-level=error',
    ],
  };
}

async function start({ flags, admin, query }: Ports): Promise<ChildProcess> {
  const child = spawn(jaeger.path as string, flags, {
    env: { ...process.env, COLLECTOR_OTLP_ENABLED: 'true' },
    stdio: 'ignore',
  });
  await eventually('Jaeger is up', async () => {
    assert.equal(child.exitCode, null, 'Jaeger ended by itself');
    const answers = await Promise.all([
      fetch(`http://127.0.0.1:${admin}/`),
      fetch(`http://127.0.0.1:${query}/api/services`),
    ]);
    return answers.every(({ ok }) => ok);
  });
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // Told to end, it first tries for 10 s to export traces of itself.
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    try {
      if (await holds()) return;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
    assert.ok(Date.now() < deadline, `${what}, within ${WAIT_MS} ms`);
    await sleep(50);
  }
}

async function traceOf({ query }: Ports, traceId: string, spans: number): Promise<JaegerTrace> {
  let found: JaegerTrace | undefined;
  await eventually(`trace ${traceId} with ${spans} spans is in Jaeger`, async () => {
    const answer = await fetch(`http://127.0.0.1:${query}/api/traces/${traceId}`);
    if (!answer.ok) return false;
    found = ((await answer.json()) as { data: JaegerTrace[] }).data[0];
    return found?.spans.length === spans;
  });
  return found as JaegerTrace;
}

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
  let child = await start(ports);
  t.after(() => stop(child));
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
      await stop(child);
      await eventually('the loss is noticed', async () => {
        for (let i = 0; i < 60; i++) send();
        const { droppedExportFailed, droppedQueueFull } = otlp.stats();
        return droppedExportFailed > 0 && droppedQueueFull > 0;
      });
      assertBalanced(otlp.stats());
      assert.notEqual(otlp.stats().lastError, '');
      child = await start(ports);
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
