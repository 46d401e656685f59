/** A real Jaeger on ports of its own, started and stopped by the test, and asked by its query API. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const WAIT_MS = 30_000;

export interface JaegerSpan {
  readonly spanID: string;
  readonly operationName: string;
  readonly processID: string;
  readonly startTime: number;
  readonly duration: number;
  readonly references: readonly { readonly refType: string; readonly spanID: string }[];
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
}

export interface JaegerTrace {
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

export interface JaegerPorts {
  readonly otlp: number;
  readonly query: number;
  readonly admin: number;
  readonly flags: readonly string[];
}

export async function choosePorts(): Promise<JaegerPorts> {
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

export async function startJaeger(path: string, { flags, admin, query }: JaegerPorts): Promise<ChildProcess> {
  const child = spawn(path, flags, {
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

export async function stopJaeger(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // Told to end, it first tries for 10 s to export traces of itself.
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
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

export async function traceOf({ query }: JaegerPorts, traceId: string, spans: number): Promise<JaegerTrace> {
  let found: JaegerTrace | undefined;
  await eventually(`trace ${traceId} with ${spans} spans is in Jaeger`, async () => {
    const answer = await fetch(`http://127.0.0.1:${query}/api/traces/${traceId}`);
    if (!answer.ok) return false;
    found = ((await answer.json()) as { data: JaegerTrace[] }).data[0];
    return found?.spans.length === spans;
  });
  return found as JaegerTrace;
}
