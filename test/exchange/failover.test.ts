/** Locality failover and peak EWMA through the whole proxy: ejections move load, and slowness does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, withProxy } from '../kit/proxy.ts';
import { ask, type Endpoint, endpoints, listed } from './choice-kit.ts';

const ZONES = ['eu-a', 'eu-a', 'eu-b'];

function located(of: readonly Endpoint[], node: string, port = 0): string {
  return `
locality: { region: eu, zone: ${node} }
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: a }], retry: { attempts: 2, codes: [503] } }] }]
services:
  - name: a
    endpoints: [${listed(of, (i) => `locality: { region: eu, zone: ${ZONES[i]} }`)}]
    loadBalancer: { locality: { failover: [] } }
    outlierDetection: { consecutiveGatewayErrors: 1, maxEjectionPercent: 100, baseEjectionTime: 300ms }
`;
}

test('near endpoints first; when they are ejected the next zone; when they are well again back', async (t) => {
  const all = await endpoints(t, 3);
  const [first, second, far] = all as [Endpoint, Endpoint, Endpoint];
  await withProxy(located(all, 'eu-a'), async (proxy) => {
    const near = new Set([first.port, second.port]);
    for (let i = 0; i < 30; i++) assert.ok(near.has((await ask(proxy.port)).port));
    first.status = 503;
    second.status = 503;
    // Retried in the next zone, which the decision record tells.
    const moved = await ask(proxy.port);
    assert.equal(moved.status, 200);
    assert.equal(moved.port, far.port);
    const { attempts } = await proxy.decision(moved.requestId);
    assert.deepEqual(attempts.map(({ choice }) => choice).slice(0, 1), ['priority 0']);
    assert.equal(attempts.at(-1)?.choice, 'priority 1');
    const slots = [first, second].map(({ port }) => proxy.endpointSlot('a', port));
    const ejected = (): boolean =>
      slots.every((slot) => proxy.ledger.endpoints.read(slot, 0).state !== 'healthy');
    while (!ejected()) assert.equal((await ask(proxy.port)).port, far.port);
    first.status = 200;
    second.status = 200;
    const deadline = Date.now() + 10_000;
    for (let back = 0; back < 20; ) {
      assert.ok(Date.now() < deadline, 'the near endpoints have their load again');
      back = near.has((await ask(proxy.port)).port) ? back + 1 : 0;
    }
  });
});

test('failoverPriority: endpoints of the same host first, and others when they are ejected', async (t) => {
  const all = await endpoints(t, 3);
  const [near, ...far] = all as [Endpoint, Endpoint, Endpoint];
  const yaml = `
labels: { host: h1 }
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: a }], retry: { attempts: 2, codes: [503] } }] }]
services:
  - name: a
    endpoints: [${listed(all, (i) => `labels: { host: h${i + 1} }`)}]
    loadBalancer: { locality: { failoverPriority: [host] } }
    outlierDetection: { consecutiveGatewayErrors: 1, maxEjectionPercent: 100 }
`;
  await withProxy(yaml, async (proxy) => {
    for (let i = 0; i < 20; i++) assert.equal((await ask(proxy.port)).port, near.port);
    near.status = 503;
    const others = new Set(far.map(({ port }) => port));
    for (let i = 0; i < 20; i++) assert.ok(others.has((await ask(proxy.port)).port));
  });
});

test('a node that moves has other endpoints near', async (t) => {
  const all = await endpoints(t, 3);
  const port = await freePort();
  await withProxy(located(all, 'eu-b', port), async (proxy) => {
    for (let i = 0; i < 10; i++) assert.equal((await ask(proxy.port)).port, all[2]?.port);
    await proxy.reload(located(all, 'eu-a', port));
    for (let i = 0; i < 10; i++) assert.notEqual((await ask(proxy.port)).port, all[2]?.port);
  });
});

test('peak-ewma: who answers slowly once gets no more while others are quick', async (t) => {
  const all = await endpoints(t, 3);
  const text = `
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: a }] }] }]
services:
  - name: a
    endpoints: [${listed(all, () => 'weight: 1')}]
    loadBalancer: { policy: peak-ewma, peakEwma: { decay: 1s } }
`;
  await withProxy(text, async (proxy) => {
    const latencyOf = ({ port }: Endpoint): number | null =>
      proxy.ledger.endpoints.read(proxy.endpointSlot('a', port), 0).latencyMs;
    // Who has not answered is taken for slower than who has, so that all are asked only while several requests run.
    while (all.some((endpoint) => latencyOf(endpoint) === null))
      await Promise.all(Array.from({ length: 30 }, () => ask(proxy.port)));
    const slow = all[1] as Endpoint;
    slow.delayMs = 100;
    // Once more, as whatever it had before is forgotten in a while.
    const deadline = Date.now() + 20_000;
    while ((await ask(proxy.port)).port !== slow.port) assert.ok(Date.now() < deadline, 'it is asked');
    assert.ok((latencyOf(slow) as number) >= 95, `${latencyOf(slow)}`);
    for (let i = 0; i < 20; i++) assert.notEqual((await ask(proxy.port)).port, slow.port);
  });
});
