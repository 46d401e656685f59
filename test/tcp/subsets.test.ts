/** Subsets of a service behind a TCP route. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { RawClient, rawBackend } from '../kit/raw.ts';
import { refusal } from './kit.ts';

const config = (ports: readonly number[], subset: string): string => `
listeners: [{ name: db, address: 127.0.0.1:0, protocol: tcp }]
tcpRoutes: [{ name: db, backendRefs: [{ name: a, subset: ${subset} }] }]
services:
  - name: a
    protocol: tcp
    endpoints: [${ports.map((port, i) => `{ address: 127.0.0.1:${port}, labels: { role: ${i === 0 ? 'leader' : 'reader'} } }`).join(', ')}]
    subsets: [{ name: leader, labels: { role: leader } }, { name: other, labels: { role: other } }]
`;

test('connections go to the subset of the route', async () => {
  const backends = await Promise.all([rawBackend(), rawBackend(), rawBackend()]);
  const ports = backends.map(({ port }) => port);
  await withProxy(config(ports, 'leader'), async (proxy) => {
    for (let i = 0; i < 6; i++) {
      const client = await RawClient.connect(proxy.port);
      const server = await backends[0]?.connection(i);
      client.destroy();
      server?.destroy();
    }
    assert.deepEqual(
      backends.slice(1).map(({ accepted }) => accepted.length),
      [0, 0],
    );
    await until(() => proxy.active === 0, 'all are over');
  });
  await Promise.all(backends.map((backend) => backend.close()));
});

test('a subset without endpoints refuses, and says so', async () => {
  const backend = await rawBackend();
  await withProxy(config([backend.port], 'other'), async (proxy) => {
    assert.equal(await refusal(proxy.port), 'ECONNRESET');
    const decision = await proxy.decision();
    assert.equal(decision.detail, 'subset other of a has no endpoints');
    assert.equal(decision.flags, 'UH');
  });
  await backend.close();
});
