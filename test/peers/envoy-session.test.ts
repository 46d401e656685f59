/** Cookies and headers of sessions beside the real Envoy: each keeps a client at the endpoint that the other gave it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, ask, endpoints } from '../exchange/choice-kit.ts';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';

const { path, skip } = peer('envoy');
const CLIENTS = 30;
const TYPE = 'type.googleapis.com/envoy.extensions';

type Kind = 'cookie' | 'header';

const STATES: Readonly<Record<Kind, unknown>> = {
  cookie: {
    name: 'envoy.http.stateful_session.cookie',
    typed_config: {
      '@type': `${TYPE}.http.stateful_session.cookie.v3.CookieBasedSessionState`,
      cookie: { name: 'home' },
    },
  },
  header: {
    name: 'envoy.http.stateful_session.header',
    typed_config: {
      '@type': `${TYPE}.http.stateful_session.header.v3.HeaderBasedSessionState`,
      name: 'home',
    },
  },
};

/** What a client sends after this answer; null: it was told of no endpoint. */
const KEPT: Readonly<Record<Kind, (answer: Answer) => Record<string, string> | null>> = {
  cookie: ({ cookies: [cookie] }) =>
    cookie === undefined ? null : { cookie: cookie.split(';')[0] as string },
  header: ({ headers: { home } }) => (home === undefined ? null : { home: String(home) }),
};

function envoyConfig(kind: Kind, port: number, ports: readonly number[]): unknown {
  const at = (number: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: number } });
  const session = {
    '@type': `${TYPE}.filters.http.stateful_session.v3.StatefulSession`,
    session_state: STATES[kind],
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

for (const [kind, type] of [
  ['cookie', 'Cookie'],
  ['header', 'Header'],
] as const)
  test(`by ${kind}: a client keeps its endpoint when it goes from Envoy to Outboard, and back`, {
    skip,
  }, async (t) => {
    const all = await endpoints(t, 4);
    const ports = all.map(({ port }) => port);
    const port = await freePort();
    const envoy = await startEnvoy(path as string, envoyConfig(kind, port, ports), port);
    t.after(() => envoy.stop());
    const service = `sessionPersistence: { sessionName: home, type: ${type} }\nloadBalancer: { policy: round-robin }`;
    await withProxy(oneService(ports, { service }), async (proxy) => {
      for (const [first, second] of [
        [port, proxy.port],
        [proxy.port, port],
      ] as const) {
        const homes = new Set<number>();
        for (let client = 0; client < CLIENTS; client++) {
          const told = await ask(first);
          const again = await ask(second, '/', KEPT[kind](told) as Record<string, string>);
          assert.equal(again.port, told.port);
          assert.equal(KEPT[kind](again), null);
          homes.add(told.port);
        }
        assert.equal(homes.size, 4);
      }
    });
  });
