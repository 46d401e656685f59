/** What operators are told of TCP connections: a log line each, Istio's and Envoy's counters, a decision where one failed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeClock, LIMITS, TimerWheel } from '../../src/base/index.ts';
import type { ListenerConfig, Snapshot } from '../../src/config/index.ts';
import { Conductor, type ExchangeContext } from '../../src/dataplane/exchange/index.ts';
import { compileConnectionRoutes } from '../../src/dataplane/router/index.ts';
import type { TcpWaiter, UpstreamService } from '../../src/dataplane/upstream/index.ts';
import { helloOf } from '../kit/hello.ts';
import { withNode } from '../kit/node.ts';
import { freePort, until } from '../kit/proxy.ts';
import { RawClient, rawBackend } from '../kit/raw.ts';
import { bench, facts } from '../telemetry/kit.ts';
import { endpointsOf, refusal } from './kit.ts';

function config(db: number, pass: number, endpoint: number): string {
  return `
listeners:
  - { name: db, address: 127.0.0.1:${db}, protocol: tcp }
  - { name: pass, address: 127.0.0.1:${pass}, protocol: tls }
tcpRoutes:
  - { name: to-db, backendRefs: [{ name: mysql.shop.svc.cluster.local }] }
tlsRoutes:
  - { name: to-vault, hostnames: [vault.shop], backendRefs: [{ name: mysql.shop.svc.cluster.local }] }
services:
  - { name: mysql.shop.svc.cluster.local, endpoints: ${endpointsOf([endpoint])}, circuitBreaker: { maxConnections: 5 } }
accessLog: { path: access.log }
workers: 4
`;
}

/** The samples of one family that fit these labels, summed. */
function sum(exposition: string, name: string, labels: Readonly<Record<string, string>>): number {
  let total = 0;
  for (const line of exposition.split('\n')) {
    if (!line.startsWith(`${name}{`)) continue;
    const fits = Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`));
    if (fits) total += Number(line.slice(line.lastIndexOf(' ')));
  }
  return total;
}

test('log lines, Istio and Envoy metrics, decisions; and maxConnections over four workers', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', (chunk: Buffer) => upstream.socket.write(chunk));
    upstream.socket.on('end', () => upstream.socket.end());
  });
  const [db, pass] = [await freePort(), await freePort()];
  await withNode(config(db, pass, backend.port), async (node) => {
    /** What `/metrics` says once `test` holds of it: workers count without being waited for. */
    const metrics = async (test: (exposition: string) => boolean): Promise<string> => {
      for (const begin = performance.now(); ; await once(AbortSignal.timeout(5), 'abort')) {
        const text = await (await node.admin('/metrics')).text();
        if (test(text)) return text;
        assert.ok(performance.now() - begin < 10_000, text);
      }
    };
    const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(db)));
    for (const client of clients) client.send('0123456789');
    await until(() => clients.filter(({ text }) => text.length === 10).length === 5, 'five are served');
    assert.equal(backend.accepted.filter(({ closed }) => !closed).length, 5);
    const destination = { destination_service: 'mysql.shop.svc.cluster.local' };
    const labels = {
      ...destination,
      destination_service_namespace: 'shop',
      request_protocol: 'tcp',
      response_flags: '-',
    };
    const open = await metrics((text) => sum(text, 'istio_tcp_connections_opened_total', labels) === 12);
    assert.equal(sum(open, 'istio_tcp_connections_closed_total', destination), 0);
    assert.ok(sum(open, 'istio_tcp_sent_bytes_total', labels) >= 50, 'bytes count while a connection lives');
    for (const client of clients) client.socket.end();
    await Promise.all(clients.map((client) => client.untilClosed()));
    assert.ok(clients.every(({ text }) => text === '0123456789'));
    assert.ok(backend.accepted.length === 12);

    await refusal(pass, await helloOf({ servername: 'other.shop' }));
    const cut = await RawClient.connect(pass);
    cut.socket.write(await helloOf({ servername: 'vault.shop' }));
    await cut.until((t) => t.length > 0);
    cut.socket.resetAndDestroy();

    const closed = { ...destination, request_protocol: 'tcp' };
    const ended = (text: string, flags: string): number =>
      sum(text, 'istio_tcp_connections_closed_total', { ...closed, response_flags: flags });
    const text = await metrics(
      (text) =>
        ended(text, '-') === 12 &&
        ended(text, 'DC') === 1 &&
        sum(text, 'envoy_listener_downstream_cx_active', {}) === 0,
    );
    assert.equal(sum(text, 'istio_tcp_received_bytes_total', { ...closed, response_flags: '-' }) > 120, true);
    const unknown = { destination_service: 'unknown', response_flags: 'NR' };
    assert.equal(sum(text, 'istio_tcp_connections_closed_total', unknown), 1);
    assert.equal(sum(text, 'istio_requests_total', {}), 0, 'connections are no requests');
    assert.equal(sum(text, 'envoy_cluster_upstream_cx_total', {}), 13);

    // Counts are read from shared memory; decisions come with their worker's next batch.
    let list: readonly { readonly flags: string; readonly authority: string }[] = [];
    for (const begin = performance.now(); list.length < 2 && performance.now() - begin < 10_000; ) {
      await once(AbortSignal.timeout(20), 'abort');
      list = (await (await node.admin('/decisions')).json()) as typeof list;
    }
    assert.deepEqual(list.map(({ flags, authority }) => `${flags} ${authority}`).sort(), [
      'DC vault.shop',
      'NR other.shop',
    ]);

    const file = join(node.directory, 'access.log');
    let lines: Record<string, unknown>[] = [];
    for (const begin = performance.now(); lines.length < 14 && performance.now() - begin < 10_000; ) {
      await once(AbortSignal.timeout(20), 'abort');
      lines = readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    }
    assert.equal(lines.length, 14);
    const [line] = lines.filter(({ route_name }) => route_name === 'to-db');
    assert.deepEqual(
      [
        line?.method,
        line?.path,
        line?.protocol,
        line?.response_code,
        line?.response_flags,
        line?.response_code_details,
      ],
      [null, null, 'TCP', 0, '-', null],
    );
    assert.deepEqual([line?.bytes_received, line?.bytes_sent, line?.attempts], [10, 10, 1]);
    assert.equal(line?.upstream_host, `127.0.0.1:${backend.port}`);
    const [refused] = lines.filter(({ response_flags }) => response_flags === 'NR');
    assert.deepEqual([refused?.requested_server_name, refused?.upstream_cluster], ['other.shop', null]);
    assert.match(String(refused?.connection_termination_details), /no TLS route of listener pass/);
  });
  await backend.close();
});

test('who waits for a slot in vain is refused after so long, and told which limit it was', () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const made = bench({ clock });
  const waiters: TcpWaiter[] = [];
  const given: string[] = [];
  const service = {
    config: {
      name: 'a',
      slot: 0,
      connectTimeoutMs: 1_000,
      endpoints: [{}],
      loadBalancer: { consistentHash: null },
      circuitBreaker: { maxConnections: 7 },
    },
    removed: false,
    counters: made.recorder.metrics.addService('a', 0).counters,
    whyNone: () => null,
    pick: () => ({ endpoint: { slot: 0 }, address: '10.0.0.1:1', index: 0, ticket: 0 }),
    checkout(waiter: TcpWaiter) {
      waiters.push(waiter);
      return null;
    },
    abandonCheckout: () => given.push('place'),
    report: (_picked: unknown, outcome: string) => given.push(outcome),
    releaseEndpoint: () => given.push('endpoint'),
    observed: () => 7,
  } as unknown as UpstreamService;
  const tcpRoutes = [{ name: 'r', listeners: ['web'], backends: [{ service: 'a', weight: 1 }] }];
  const context = {
    clock,
    wheel,
    callers: { accountOf: () => null },
    random: () => 0,
    recorder: made.recorder,
    connectionRoutes: compileConnectionRoutes({ tlsRoutes: [], tcpRoutes } as unknown as Snapshot, null),
    services: new Map([['a', service]]),
    active: 0,
  } as unknown as ExchangeContext;
  const listener = { name: 'web', tunnelIdleTimeoutMs: 0, tunnelMaxMs: 0 } as ListenerConfig;
  const client = { write: () => true, end() {}, reset: () => given.push('reset'), pause() {}, resume() {} };
  new Conductor(context).connect(listener, facts(), client, null).begin();
  assert.equal(waiters.length, 1);
  clock.advance(LIMITS.slotWaitMs + 999);
  wheel.advance();
  assert.deepEqual(given, []);
  clock.advance(10);
  wheel.advance();
  assert.deepEqual(given, ['abandoned', 'endpoint', 'place', 'reset']);
  assert.deepEqual([context.active, wheel.size], [0, 0]);
  made.recorder.flush();
  const [decision] = made.batches.flatMap(({ decisions }) => decisions);
  assert.deepEqual(
    [decision?.code, decision?.flags, decision?.limit, decision?.limitValue, decision?.observedValue],
    ['max-pending', 'UO', 'circuitBreaker.maxConnections', 7, 7],
  );
});
