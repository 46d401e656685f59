/**
 * Consistent hashing beside the real Envoy: the same keys find the same endpoints, so that a service can move from one
 * proxy to the other, or be behind both, without its keys moving.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const { path, skip } = peer('envoy');
const KEYS = 300;

const CASES = [
  { name: 'ring-hash, equal weights', weights: [1, 1, 1, 1, 1], policy: 'ring-hash' },
  { name: 'ring-hash, unequal weights', weights: [1, 2, 3, 7], policy: 'ring-hash' },
  { name: 'maglev, equal weights', weights: [1, 1, 1, 1, 1], policy: 'maglev' },
  { name: 'maglev, unequal weights', weights: [1, 2, 3, 7], policy: 'maglev' },
] as const;

interface Endpoint {
  readonly port: number;
  readonly weight: number;
}

async function endpoints(t: TestContext, weights: readonly number[]): Promise<Endpoint[]> {
  const backends = await Promise.all(
    weights.map(async () => {
      const backend = await httpBackend((_request, response) => response.end(String(backend.port)));
      return backend;
    }),
  );
  t.after(() => Promise.all(backends.map((backend) => backend.close())));
  return backends.map(({ port }, i) => ({ port, weight: weights[i] as number }));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const HTTP_MANAGER =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

function envoyConfig(port: number, policy: string, hosts: readonly Endpoint[]): unknown {
  const at = (number: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: number } });
  const route = {
    match: { prefix: '/' },
    route: { cluster: 'a', hash_policy: [{ header: { header_name: 'x-key' } }] },
  };
  const manager = {
    '@type': HTTP_MANAGER,
    stat_prefix: 'a',
    route_config: { virtual_hosts: [{ name: 'a', domains: ['*'], routes: [route] }] },
    http_filters: [{ name: 'router', typed_config: { '@type': ROUTER } }],
  };
  const lbEndpoints = hosts.map(({ port: number, weight }) => ({
    endpoint: { address: at(number) },
    load_balancing_weight: weight,
  }));
  return {
    static_resources: {
      listeners: [
        {
          name: 'a',
          address: at(port),
          filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
        },
      ],
      clusters: [
        {
          name: 'a',
          type: 'STATIC',
          lb_policy: policy === 'maglev' ? 'MAGLEV' : 'RING_HASH',
          load_assignment: { cluster_name: 'a', endpoints: [{ lb_endpoints: lbEndpoints }] },
        },
      ],
    },
  };
}

function ourConfig(policy: string, hosts: readonly Endpoint[]): string {
  const list = hosts
    .map(({ port, weight }) => `{ address: 127.0.0.1:${port}, weight: ${weight} }`)
    .join(', ');
  return `
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services:
  - name: a
    endpoints: [${list}]
    loadBalancer: { policy: ${policy}, consistentHash: { httpHeaderName: x-key } }
`;
}

/** Which endpoint answers each key. */
async function owners(port: number): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < KEYS; i++) {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-key': keyOf(i) } });
    all.push(await answer.text());
  }
  return all;
}

/** Of all lengths that the hash treats in their own way. */
const keyOf = (i: number): string => `${i}-`.padEnd(1 + (i % 70), 'abc');

for (const { name, weights, policy } of CASES)
  test(`${name}: each of ${KEYS} keys at the endpoint where Envoy has it`, { skip }, async (t) => {
    const hosts = await endpoints(t, weights);
    const port = await freePort();
    const envoy = await startEnvoy(path as string, envoyConfig(port, policy, hosts), port);
    t.after(() => envoy.stop());
    const expected = await owners(port);
    assert.equal(new Set(expected).size, hosts.length);
    await withProxy(ourConfig(policy, hosts), async (proxy) => {
      assert.deepEqual(await owners(proxy.port), expected);
    });
  });
