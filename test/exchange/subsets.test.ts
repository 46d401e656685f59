/** Subsets of a service's endpoints, chosen by backendRefs[].subset. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort, withProxy } from '../kit/proxy.ts';
import { ask, type Endpoint, endpoints, listed } from './choice-kit.ts';

const VERSIONS = ['v1', 'v1', 'v2'];

/** Paths /v1, /v2 and /v9 go to subsets of these names, the last of which has no endpoints; others to the service. */
function config(of: readonly Endpoint[], parts = '', port = 0): string {
  const rule = (name: string): string =>
    `{ matches: [{ path: { value: /${name} } }], backendRefs: [{ name: a, subset: ${name} }] }`;
  return `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes:
  - name: r
    rules: [${['v1', 'v2', 'v9'].map(rule).join(', ')}, { backendRefs: [{ name: a }] }]
services:
  - name: a
    endpoints: [${listed(of, (i) => `labels: { version: ${VERSIONS[i]}, stage: prod }`)}]
    subsets: [${['v1', 'v2', 'v9'].map((name) => `{ name: ${name}, labels: { version: ${name}, stage: prod } }`).join(', ')}]
    ${parts}
`;
}

async function portsOf(proxy: { readonly port: number }, path: string, times = 30): Promise<Set<number>> {
  const ports = new Set<number>();
  for (let i = 0; i < times; i++) ports.add((await ask(proxy.port, path)).port);
  return ports;
}

const portsIn = (of: readonly Endpoint[], version: string): Set<number> =>
  new Set(of.filter((_, i) => VERSIONS[i] === version).map(({ port }) => port));

async function made(t: TestContext): Promise<Endpoint[]> {
  return endpoints(t, VERSIONS.length);
}

test('a backend with a subset has its endpoints, one without has all', async (t) => {
  const all = await made(t);
  await withProxy(config(all), async (proxy) => {
    assert.deepEqual(await portsOf(proxy, '/v1'), portsIn(all, 'v1'));
    assert.deepEqual(await portsOf(proxy, '/v2'), portsIn(all, 'v2'));
    assert.equal((await portsOf(proxy, '/', 60)).size, 3);
    assert.equal(proxy.counter('a', 'lbSubsetsSelected'), 60);
    assert.equal(proxy.counter('a', 'lbSubsetsFallback'), 0);
  });
});

test('a subset without endpoints: 503 UH, and the decision says which', async (t) => {
  const all = await made(t);
  await withProxy(config(all), async (proxy) => {
    const { status, requestId } = await ask(proxy.port, '/v9');
    assert.equal(status, 503);
    const decision = await proxy.decision(requestId);
    assert.equal(decision.flags, 'UH');
    assert.equal(decision.code, 'no-endpoint');
    assert.equal(decision.detail, 'subset v9 of a has no endpoints');
  });
});

for (const [policy, version] of [
  ['subsetFallbackPolicy: any-endpoint', null],
  ['subsetFallbackPolicy: default-subset, defaultSubset: v2', 'v2'],
] as const)
  test(`a subset without endpoints falls back: ${policy}`, async (t) => {
    const all = await made(t);
    await withProxy(config(all, policy.replace(', ', '\n    ')), async (proxy) => {
      const found = await portsOf(proxy, '/v9', 60);
      assert.deepEqual(
        found,
        version === null ? new Set(all.map(({ port }) => port)) : portsIn(all, version),
      );
      assert.equal(proxy.counter('a', 'lbSubsetsFallback'), 60);
      // Those that have endpoints keep to them.
      assert.deepEqual(await portsOf(proxy, '/v1'), portsIn(all, 'v1'));
    });
  });

test('a subset whose endpoints are ill does not fall back, and a retry stays in it', async (t) => {
  const all = await made(t);
  const parts = `subsetFallbackPolicy: any-endpoint
    outlierDetection: { consecutiveGatewayErrors: 1, maxEjectionPercent: 100 }
    panicThreshold: 0`;
  const text = config(all, parts).replace(
    'subset: v2 }]',
    'subset: v2 }], retry: { attempts: 2, codes: [503] }',
  );
  (all[2] as Endpoint).status = 503;
  await withProxy(text, async (proxy) => {
    const first = await ask(proxy.port, '/v2');
    assert.equal(first.status, 503);
    const { attempts } = await proxy.decision(first.requestId);
    assert.deepEqual(
      new Set(attempts.map(({ endpoint }) => endpoint)),
      new Set([`127.0.0.1:${all[2]?.port}`]),
    );
    assert.equal(attempts[0]?.choice, 'subset v2');
    // It is ejected now.
    const second = await ask(proxy.port, '/v2');
    assert.equal(second.status, 503);
    assert.equal((await proxy.decision(second.requestId)).code, 'no-endpoint');
    assert.equal((await ask(proxy.port, '/v1')).status, 200);
  });
});

test('a request that waits for a connection does not leave its subset', async (t) => {
  const all = await made(t);
  for (const endpoint of all) endpoint.delayMs = 20;
  await withProxy(config(all, 'circuitBreaker: { maxConnections: 1 }'), async (proxy) => {
    const asked = Array.from({ length: 12 }, (_, i) => ask(proxy.port, i % 2 === 0 ? '/v1' : '/v2'));
    const answers = await Promise.all(asked);
    answers.forEach(({ status, port }, i) => {
      assert.equal(status, 200);
      assert.ok(portsIn(all, i % 2 === 0 ? 'v1' : 'v2').has(port));
    });
  });
});

test('subsets follow the configuration', async (t) => {
  const all = await made(t);
  const port = await freePort();
  await withProxy(config(all, '', port), async (proxy) => {
    assert.deepEqual(await portsOf(proxy, '/v2'), portsIn(all, 'v2'));
    await proxy.reload(config([...all].reverse(), '', port));
    assert.deepEqual(await portsOf(proxy, '/v2'), new Set([all[0]?.port]));
  });
});
