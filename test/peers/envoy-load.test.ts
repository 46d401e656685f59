/**
 * The real Envoy, asked whether it shares load as its documentation says and as Outboard does: 100 endpoints in each priority or
 * locality, whose health the configuration states, and the shares of thousands of requests among them.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import { effectiveWeight } from '../../src/dataplane/balancer/loads.ts';
import { zoneRouting } from '../../src/dataplane/balancer/zone-routing.ts';
import * as tables from '../balancer/envoy-tables.ts';
import { share } from '../balancer/spread.ts';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';

const { path, skip } = peer('envoy');
const SIZE = 100;
const FEW = 2_000;
/** Enough to tell one percent more from one percent less. */
const MANY = 30_000;
const CONNECTIONS = 8;

/** A cluster, and the shares of requests that its groups of endpoints are to get. */
interface Case {
  readonly name: string;
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly groups: readonly Readonly<Record<string, unknown>>[];
  readonly shares: readonly number[];
  readonly requests: number;
}

const address = (host: string, port: number): unknown => ({
  socket_address: { address: host, port_value: port },
});

/** Degraded endpoints of a group are a group of their own. */
const DEGRADED = 5;

/** 100 endpoints at 127.1.GROUP.1 to 100, of which so many are well. */
function endpointsOf(group: number, [healthy, degraded]: tables.Health, port: number): unknown[] {
  return Array.from({ length: SIZE }, (_, i) => ({
    ...(i < healthy || i >= healthy + degraded
      ? { endpoint: { address: address(`127.1.${group}.${i + 1}`, port) } }
      : { endpoint: { address: address(`127.1.${group + DEGRADED}.${i + 1}`, port) } }),
    health_status: i < healthy ? 'HEALTHY' : i < healthy + degraded ? 'DEGRADED' : 'UNHEALTHY',
  }));
}

function priorityCases(
  name: string,
  rows: readonly tables.PriorityRow[],
  panic: number,
  port: number,
): Case[] {
  return rows.map((row) => ({
    name: `${name}: ${row.health.join(' ')}`,
    cluster: { common_lb_config: { healthy_panic_threshold: { value: panic } } },
    groups: row.health.map((health, priority) => ({
      priority,
      lb_endpoints: endpointsOf(priority, health, port),
    })),
    shares: sharesOf(row),
    requests: row.documented === undefined ? FEW : MANY,
  }));
}

function sharesOf({ load, degradedLoad }: tables.PriorityRow): number[] {
  const shares = new Array<number>(2 * DEGRADED).fill(0);
  load.forEach((percent, i) => {
    shares[i] = percent / 100;
    shares[i + DEGRADED] = (degradedLoad?.[i] ?? 0) / 100;
  });
  return shares;
}

function localityCases(port: number): Case[] {
  return tables.LOCALITY_WEIGHTS.map(({ healthy }) => {
    const weights = [effectiveWeight(1, healthy, 100, 140), effectiveWeight(2, 100, 100, 140)];
    const total = (weights[0] as number) + (weights[1] as number);
    return {
      name: `localities: ${healthy}`,
      cluster: { common_lb_config: { locality_weighted_lb_config: {} } },
      groups: [healthy, 100].map((well, i) => ({
        locality: { region: 'eu', zone: `eu-${i}` },
        load_balancing_weight: i + 1,
        lb_endpoints: endpointsOf(i, [well, 0], port),
      })),
      shares: weights.map((weight) => weight / total),
      requests: FEW,
    };
  });
}

const inZones = (sizes: readonly number[], port: number): Readonly<Record<string, unknown>>[] =>
  sizes.map((size, i) => ({
    locality: { region: 'eu', zone: `eu-${i}` },
    lb_endpoints: endpointsOf(i, [100, 0], port).slice(0, size),
  }));

function zoneCase(port: number): Case {
  const { local, upstream } = tables.ZONES;
  const routing = zoneRouting(
    upstream.map((size, i) => ({ upstream: size, local: local[i] as number })),
    100,
    true,
  );
  assert.ok(routing.kind === 'residual');
  const stay = routing.stay / 10_000;
  const rest = routing.parts.reduce((sum, part) => sum + part, 0);
  return {
    name: 'zones',
    cluster: { common_lb_config: { zone_aware_lb_config: {} } },
    groups: inZones(upstream, port),
    shares: routing.parts.map((part, i) => (i === 0 ? stay : ((1 - stay) * part) / rest)),
    requests: FEW,
  };
}

function cluster(name: string, { cluster: parts, groups }: Pick<Case, 'cluster' | 'groups'>): unknown {
  return {
    name,
    type: 'STATIC',
    lb_policy: 'RANDOM',
    ...parts,
    load_assignment: { cluster_name: name, endpoints: groups },
  };
}

function envoyConfig(port: number, cases: readonly Case[], backend: number): unknown {
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'a',
    route_config: {
      virtual_hosts: [
        {
          name: 'a',
          domains: ['*'],
          routes: cases.map((_, i) => ({ match: { path: `/${i}` }, route: { cluster: `c${i}` } })),
        },
      ],
    },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  const callers = { cluster: {}, groups: inZones(tables.ZONES.local, backend) };
  return {
    node: { id: 'n', cluster: 'callers', locality: { region: 'eu', zone: 'eu-0' } },
    cluster_manager: { local_cluster_name: 'callers' },
    static_resources: {
      listeners: [
        {
          name: 'a',
          address: address('127.0.0.1', port),
          filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
        },
      ],
      clusters: [cluster('callers', callers), ...cases.map((one, i) => cluster(`c${i}`, one))],
    },
  };
}

/** Says to each request in which group it is: `<GROUP>`. */
async function backend(t: TestContext): Promise<number> {
  const server: Server = createServer((socket) => {
    const group = socket.localAddress?.split('.')[2];
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n<${group}>`;
    socket.on('data', (chunk: Buffer) => {
      for (let at = chunk.indexOf('\r\n\r\n'); at >= 0; at = chunk.indexOf('\r\n\r\n', at + 1)) {
        socket.write(answer);
      }
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** How many answers each group gave to so many pipelined requests. */
async function ask(port: number, target: string, requests: number): Promise<number[]> {
  const counts = new Array<number>(2 * DEGRADED).fill(0);
  const each = Math.ceil(requests / CONNECTIONS);
  const one = async (): Promise<void> => {
    const socket = connect(port, '127.0.0.1');
    let answered = 0;
    let rest = '';
    socket.on('data', (chunk: Buffer) => {
      const said = rest + chunk.toString('latin1');
      for (const [, group] of said.matchAll(/<(\d)>/g)) {
        counts[Number(group)] = (counts[Number(group)] as number) + 1;
        answered++;
      }
      rest = said.slice(-2);
      if (answered === each) socket.end();
    });
    socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`.repeat(each));
    await once(socket, 'close');
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  return counts;
}

test('Envoy shares load as Outboard does, in every worked example', { skip, timeout: 240_000 }, async (t) => {
  const at = await backend(t);
  const cases = [
    ...priorityCases('two priorities, one healthy', tables.TWO_PRIORITIES, 0, at),
    ...priorityCases('two priorities', tables.TWO_UNHEALTHY, 0, at),
    ...priorityCases('three priorities', [...tables.THREE_PRIORITIES, tables.THREE_SCALED], 0, at),
    ...priorityCases('panic disregarded', tables.PANIC_DISREGARDED, 50, at),
    ...priorityCases('panic', tables.PANIC, 50, at),
    ...priorityCases('degraded', tables.DEGRADED, 0, at),
    ...localityCases(at),
    zoneCase(at),
  ];
  const port = await freePort();
  const envoy = await startEnvoy(path as string, envoyConfig(port, cases, at), port);
  t.after(() => envoy.stop());
  for (const [i, { name, shares, requests }] of cases.entries()) {
    await t.test(name, async () => {
      const counts = await ask(port, `/${i}`, requests);
      const all = counts.reduce((sum, count) => sum + count, 0);
      const percent = counts.map((count) => ((100 * count) / all).toFixed(1));
      t.diagnostic(`${name}: ${percent.filter((_, group) => (shares[group] ?? 0) > 0).join(' ')} %`);
      shares.forEach((p, group) => {
        share(counts[group] as number, all, p);
      });
    });
  }
});
