/** Outlier detection over all workers and active checks, as a user runs them and sees them. */
import assert from 'node:assert/strict';
import { createServer as createTcp, type Server } from 'node:net';
import { test } from 'node:test';
import { type RunningNode, withNode } from '../kit/node.ts';
import { freePort } from '../kit/proxy.ts';
import { type HttpBackend, httpBackend, RawClient } from '../kit/raw.ts';

interface Endpoint {
  readonly address: string;
  readonly health: string;
  readonly degraded: boolean;
  readonly outlier: string;
  readonly lastDetection: { readonly detector: string; readonly observed: number } | null;
}

async function endpoints(node: RunningNode): Promise<readonly Endpoint[]> {
  const [cluster] = (await (await node.admin('/clusters')).json()) as { endpoints: Endpoint[] }[];
  return cluster?.endpoints ?? [];
}

/** Waits until `/clusters` shows it, making requests meanwhile where `work` does. */
async function shown(
  node: RunningNode,
  test: (endpoints: readonly Endpoint[]) => boolean,
  work: () => Promise<unknown> = () => new Promise((resolve) => setTimeout(resolve, 20)),
): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const seen = await endpoints(node);
    if (test(seen)) return;
    assert.ok(Date.now() < deadline, `waited in vain: ${JSON.stringify(seen)}\n${node.output()}`);
    await work();
  }
}

async function metric(node: RunningNode, name: string): Promise<number> {
  const text = await (await node.admin('/metrics')).text();
  const line = new RegExp(`^${name}\\{envoy_cluster_name="a"\\} (\\S+)$`, 'm').exec(text);
  return line === null ? Number.NaN : Number(line[1]);
}

/** On a connection of its own, so that any worker may have it. */
async function get(port: number): Promise<string> {
  const client = await RawClient.connect(port);
  const text = await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').untilEnd();
  client.destroy();
  return text;
}

function config(port: number, ports: readonly number[], service: string, kind = 'routes'): string {
  const list = ports.map((each) => `{ address: 127.0.0.1:${each} }`).join(', ');
  const route =
    kind === 'routes'
      ? 'routes: [{ name: all, rules: [{ backendRefs: [{ name: a }], retry: { attempts: 0 } }] }]'
      : 'tcpRoutes: [{ name: all, parentRefs: [{ sectionName: web }], backendRefs: [{ name: a }] }]';
  return `
listeners: [{ name: web, address: 127.0.0.1:${port}${kind === 'routes' ? '' : ', protocol: tcp'} }]
${route}
services:
  - name: a
    endpoints: [${list}]
${service.replaceAll(/^/gm, '    ')}
workers: 4
`;
}

const closeAll = (backends: readonly HttpBackend[]) => Promise.all(backends.map((each) => each.close()));

test('an endpoint that fails half its requests is found by its success rate over 4 workers', async (t) => {
  const backends = await Promise.all(
    Array.from({ length: 6 }, (_, i) =>
      httpBackend((_request, response, index) =>
        response.writeHead(i === 2 && index % 2 === 0 ? 500 : 200).end(),
      ),
    ),
  );
  const port = await freePort();
  const yaml = config(
    port,
    backends.map((backend) => backend.port),
    `loadBalancer: { policy: round-robin }
outlierDetection: { interval: 500ms, successRateRequestVolume: 4, consecutive5xxErrors: 0, consecutiveGatewayErrors: 0 }`,
  );
  await withNode(yaml, async (node) => {
    await shown(
      node,
      (seen) => seen.some(({ outlier }) => outlier === 'ejected'),
      () => Promise.all(Array.from({ length: 24 }, () => get(port))),
    );
    const seen = await endpoints(node);
    assert.deepEqual(
      seen.map(({ outlier }) => outlier),
      ['healthy', 'healthy', 'ejected', 'healthy', 'healthy', 'healthy'],
    );
    assert.equal(seen[2]?.lastDetection?.detector, 'SUCCESS_RATE');
    await node.said(/"detector":"SUCCESS_RATE"/);
    assert.equal(await metric(node, 'envoy_cluster_outlier_detection_ejections_enforced_success_rate'), 1);
    assert.equal(await metric(node, 'envoy_cluster_outlier_detection_ejections_enforced_consecutive_5xx'), 0);
    const before = backends[2]?.requests.length;
    for (let i = 0; i < 20; i++) assert.match(await get(port), /^HTTP\/1\.1 200/);
    assert.equal(backends[2]?.requests.length, before);
    t.diagnostic(`observed ${seen[2]?.lastDetection?.observed} %`);
  });
  await closeAll(backends);
});

test('a degraded endpoint gets requests only when the healthy ones do not suffice', async () => {
  const state = { healthy: true, degraded: true };
  const healthy = await Promise.all(
    Array.from({ length: 3 }, () =>
      httpBackend((request, response) => {
        response.writeHead(request.url === '/healthz' && !state.healthy ? 503 : 200).end('healthy');
      }),
    ),
  );
  const degraded = await httpBackend((_request, response) => {
    response.writeHead(200, state.degraded ? { 'x-envoy-degraded': 'true' } : {}).end('degraded');
  });
  const backends = [...healthy, degraded];
  const port = await freePort();
  const yaml = config(
    port,
    backends.map((backend) => backend.port),
    'panicThreshold: 0\nhealthCheck: { path: /healthz, interval: 100ms, intervalJitter: 0s, unhealthyThreshold: 1, healthyThreshold: 1 }',
  );
  await withNode(yaml, async (node) => {
    await shown(node, (all) => all[3]?.degraded === true && all.every(({ health }) => health === 'healthy'));
    // Three of four, by Envoy's factor of 1.4, are 105 %: room for all.
    for (let i = 0; i < 40; i++) assert.match(await get(port), /\r\nhealthy\r\n/);
    assert.equal(await metric(node, 'envoy_cluster_membership_degraded'), 1);
    assert.equal(await metric(node, 'envoy_cluster_membership_healthy'), 3);
    state.healthy = false;
    await shown(node, (all) => all.slice(0, 3).every(({ health }) => health === 'unhealthy'));
    for (let i = 0; i < 8; i++) assert.match(await get(port), /\r\ndegraded\r\n/);
    state.degraded = false;
    await shown(node, (all) => all[3]?.degraded === false);
    await node.said(/"event":"degraded_healthy_host"/);
    await node.said(
      /"event":"eject_unhealthy_event".*"from":"healthy","to":"unhealthy","failureType":"ACTIVE","reason":"status 503"/,
    );
    await node.said(/"event":"no_longer_degraded_host"/);
    assert.ok((await metric(node, 'envoy_cluster_health_check_attempt')) > 3);
  });
  await closeAll(backends);
});

test('an endpoint that asks for no more requests with an answer gets none until its checks pass', async () => {
  const state = { leaving: false };
  const backends = await Promise.all(
    ['leaving', 'staying'].map((name) =>
      httpBackend((request, response) => {
        const asks = name === 'leaving' && state.leaving;
        if (request.url === '/healthz') response.writeHead(asks ? 500 : 200).end();
        else response.writeHead(200, asks ? { 'x-envoy-immediate-health-check-fail': 'true' } : {}).end(name);
      }),
    ),
  );
  const port = await freePort();
  const yaml = config(
    port,
    backends.map((backend) => backend.port),
    'panicThreshold: 0\nhealthCheck: { path: /healthz, interval: 200ms, healthyThreshold: 2, unhealthyThreshold: 99 }',
  );
  await withNode(yaml, async (node) => {
    await shown(node, (seen) => seen.every(({ health }) => health === 'healthy'));
    state.leaving = true;
    while (!(await get(port)).includes('\r\nleaving\r\n'));
    for (let i = 0; i < 20; i++) assert.match(await get(port), /\r\nstaying\r\n/);
    await node.said(/"event":"eject_unhealthy_event".*"failureType":"PASSIVE"/);
    assert.equal(await metric(node, 'envoy_cluster_health_check_passive_failure'), 1);
    state.leaving = false;
    await shown(node, (seen) => seen.every(({ health }) => health === 'healthy'));
    while (!(await get(port)).includes('\r\nleaving\r\n'));
  });
  await closeAll(backends);
});

test('endpoints of bytes are checked over TCP', async () => {
  const greet = { good: 'READY', other: 'BUSY' };
  const servers: Server[] = [];
  const ports: number[] = [];
  for (const text of Object.values(greet)) {
    const server = createTcp((socket) => {
      socket.on('error', () => {});
      socket.end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    ports.push((server.address() as { port: number }).port);
  }
  const ready = Buffer.from('READY').toString('hex');
  const port = await freePort();
  const yaml = config(
    port,
    ports,
    `protocol: tcp\npanicThreshold: 0\nhealthCheck: { tcp: { receive: ["${ready}"] }, interval: 100ms }`,
    'tcpRoutes',
  );
  await withNode(yaml, async (node) => {
    await shown(node, ([first, second]) => first?.health === 'healthy' && second?.health === 'unhealthy');
    for (let i = 0; i < 8; i++) {
      const client = await RawClient.connect(port);
      assert.equal(await client.untilEnd(), 'READY');
      client.destroy();
    }
    await node.said(/"healthCheckerType":"TCP".*closed after 4 bytes without what is expected/);
  });
  for (const server of servers) server.close();
});
