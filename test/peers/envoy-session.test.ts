/** Cookies of sessions beside the real Envoy: each keeps a client at the endpoint that the other gave it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, endpoints } from '../exchange/choice-kit.ts';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';

const { path, skip } = peer('envoy');
const CLIENTS = 30;
const TYPE = 'type.googleapis.com/envoy.extensions';

function envoyConfig(port: number, ports: readonly number[]): unknown {
  const at = (number: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: number } });
  const session = {
    '@type': `${TYPE}.filters.http.stateful_session.v3.StatefulSession`,
    session_state: {
      name: 'envoy.http.stateful_session.cookie',
      typed_config: {
        '@type': `${TYPE}.http.stateful_session.cookie.v3.CookieBasedSessionState`,
        cookie: { name: 'home' },
      },
    },
  };
  const manager = {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'a',
    route_config: {
      virtual_hosts: [
        { name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'a' } }] },
      ],
    },
    http_filters: [
      { name: 'envoy.filters.http.stateful_session', typed_config: session },
      { name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } },
    ],
  };
  const hosts = ports.map((number) => ({ endpoint: { address: at(number) } }));
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
          load_assignment: { cluster_name: 'a', endpoints: [{ lb_endpoints: hosts }] },
        },
      ],
    },
  };
}

test('a client keeps its endpoint when it goes from Envoy to Outboard, and back', { skip }, async (t) => {
  const all = await endpoints(t, 4);
  const ports = all.map(({ port }) => port);
  const port = await freePort();
  const envoy = await startEnvoy(path as string, envoyConfig(port, ports), port);
  t.after(() => envoy.stop());
  const service = 'sessionPersistence: { sessionName: home }\nloadBalancer: { policy: round-robin }';
  await withProxy(oneService(ports, { service }), async (proxy) => {
    for (const [first, second] of [
      [port, proxy.port],
      [proxy.port, port],
    ] as const) {
      const homes = new Set<number>();
      for (let client = 0; client < CLIENTS; client++) {
        const { port: home, cookies } = await ask(first);
        const cookie = (cookies[0] as string).split(';')[0] as string;
        const again = await ask(second, '/', { cookie });
        assert.equal(again.port, home);
        assert.deepEqual(again.cookies, []);
        homes.add(home);
      }
      assert.equal(homes.size, 4);
    }
  });
});
