/**
 * Outlier detection beside the real Envoy: endpoints answer by the same seeded sequences, and the same ones are ejected,
 * by the same average and threshold.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startEnvoy } from '../kit/envoy.ts';
import { withNode } from '../kit/node.ts';
import { peer } from '../kit/peers.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend, RawClient } from '../kit/raw.ts';
import { seeded } from '../ledger/kit.ts';

const { path, skip } = peer('envoy');

/** Requests for each endpoint in one batch; how it answers them repeats after so many. */
const BATCH = 50;
const INTERVAL_MS = 2_500;

interface Case {
  readonly name: string;
  /** Of a batch so many are failures, for each endpoint. */
  readonly failures: readonly number[];
  readonly status: number;
  readonly outlier: Readonly<Record<string, number>>;
}

const QUIET = { consecutive5xx: 0, consecutiveGateway: 0 };
const CASES: readonly Case[] = [
  {
    name: 'success rate, one far below',
    failures: [25, 0, 0, 0, 0, 0],
    status: 500,
    outlier: QUIET,
  },
  {
    name: 'success rate, two below and a noisy rest',
    failures: [35, 2, 1, 33, 0, 3, 1, 2, 0, 1, 1, 2],
    status: 503,
    outlier: { ...QUIET, stdev: 1500 },
  },
  {
    name: 'success rate, nobody below',
    failures: [15, 18, 16, 16, 15, 17],
    status: 500,
    outlier: QUIET,
  },
  {
    name: 'failure percentage',
    // 85 % is the threshold: 43 of 50 are 86, 42 are 84.
    failures: [45, 5, 43, 42, 0, 50],
    status: 502,
    outlier: { ...QUIET, enforcingSuccessRate: 0, enforcingFailurePercentage: 100 },
  },
  {
    name: 'failures in a row',
    failures: [40, 0, 25, 0, 50, 0],
    status: 500,
    outlier: { consecutive5xx: 8, consecutiveGateway: 0, enforcingSuccessRate: 0 },
  },
];

/** What both proxies are seen to have done. */
interface Seen {
  /** Indexes of the endpoints that are out. */
  readonly ejected: readonly number[];
  /** Of the success rates that ejections went by, to a hundredth; null: nothing was judged. */
  readonly statistics: readonly [average: string, threshold: string] | null;
}

/** A shuffle of `failures` failures among BATCH answers. */
function sequence(failures: number, random: () => number): boolean[] {
  const fails = Array.from({ length: BATCH }, (_, i) => i < failures);
  for (let i = BATCH - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [fails[i], fails[j]] = [fails[j] as boolean, fails[i] as boolean];
  }
  return fails;
}

async function endpoints(t: TestContext, { failures, status }: Case, seed: number): Promise<number[]> {
  const random = seeded(seed);
  const sequences = failures.map((count) => sequence(count, random));
  const backends = await Promise.all(
    sequences.map((fails) =>
      httpBackend((_request, response, index) =>
        response.writeHead(fails[index % BATCH] ? status : 200).end(),
      ),
    ),
  );
  t.after(() => Promise.all(backends.map((backend) => backend.close())));
  return backends.map(({ port }) => port);
}

/** Requests one after the other on one connection: round robin gives each endpoint its share. */
async function send(port: number, requests: number): Promise<void> {
  const client = await RawClient.connect(port);
  for (let i = 0; i < requests; i++) {
    client.text = '';
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until((text) => text.endsWith('\r\n\r\n') || text.endsWith('0\r\n\r\n'));
  }
  client.destroy();
}

/**
 * Sends batches until one has fallen into one interval whole, so that it was judged. `look`: what is to be seen now;
 * null: nothing was judged in the last interval.
 */
async function judged(port: number, hosts: number, look: () => Promise<Seen | null>): Promise<Seen> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    await send(port, hosts * BATCH);
    const until = Date.now() + 1.2 * INTERVAL_MS;
    while (Date.now() < until) {
      const seen = await look();
      if (seen !== null) return seen;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  assert.fail('no batch was judged');
}

const HTTP_MANAGER =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

function envoyConfig(port: number, admin: number, ports: readonly number[], { outlier }: Case): unknown {
  const at = (number: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: number } });
  const manager = {
    '@type': HTTP_MANAGER,
    stat_prefix: 'a',
    route_config: {
      virtual_hosts: [
        { name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'a' } }] },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': ROUTER } }],
  };
  return {
    admin: { address: at(admin) },
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
          lb_policy: 'ROUND_ROBIN',
          outlier_detection: {
            interval: `${INTERVAL_MS / 1_000}s`,
            base_ejection_time: '300s',
            max_ejection_percent: 50,
            split_external_local_origin_errors: true,
            consecutive_5xx: outlier.consecutive5xx,
            consecutive_gateway_failure: outlier.consecutiveGateway,
            success_rate_request_volume: BATCH,
            success_rate_stdev_factor: outlier.stdev ?? 1900,
            enforcing_success_rate: outlier.enforcingSuccessRate ?? 100,
            enforcing_failure_percentage: outlier.enforcingFailurePercentage ?? 0,
          },
          load_assignment: {
            cluster_name: 'a',
            endpoints: [{ lb_endpoints: ports.map((number) => ({ endpoint: { address: at(number) } })) }],
          },
        },
      ],
    },
  };
}

function ourConfig(port: number, ports: readonly number[], { outlier }: Case): string {
  const list = ports.map((number) => `{ address: 127.0.0.1:${number} }`).join(', ');
  return `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }], retry: { attempts: 0 } }] }]
services:
  - name: a
    endpoints: [${list}]
    loadBalancer: { policy: round-robin }
    outlierDetection:
      interval: ${INTERVAL_MS}ms
      baseEjectionTime: 300s
      maxEjectionPercent: 50
      consecutive5xxErrors: ${outlier.consecutive5xx}
      consecutiveGatewayErrors: ${outlier.consecutiveGateway}
      successRateRequestVolume: ${BATCH}
      successRateStdevFactor: ${outlier.stdev ?? 1900}
      enforcingSuccessRate: ${outlier.enforcingSuccessRate ?? 100}
      enforcingFailurePercentage: ${outlier.enforcingFailurePercentage ?? 0}
workers: 1
`;
}

/** Of the text form of `/clusters`, which both have. */
function seenIn(text: string, ports: readonly number[], inRow: boolean): Seen | null {
  const value = (name: string): string => new RegExp(`^a::${name}::(.*)$`, 'm').exec(text)?.[1] ?? '';
  const average = Number(value('outlier::success_rate_average'));
  const ejected = ports.flatMap((port, i) =>
    value(`127\\.0\\.0\\.1:${port}::health_flags`).includes('failed_outlier_check') ? [i] : [],
  );
  if (inRow) return ejected.length === 0 ? null : { ejected, statistics: null };
  if (average === -1 || Number.isNaN(average)) return null;
  const threshold = Number(value('outlier::success_rate_ejection_threshold'));
  return { ejected, statistics: [average.toFixed(2), threshold.toFixed(2)] };
}

for (const [seed, each] of CASES.entries())
  test(`${each.name}: the endpoints that Envoy ejects`, { skip }, async (t) => {
    const inRow = each.outlier.consecutive5xx !== 0;
    const hosts = each.failures.length;
    const texts = async (url: string): Promise<string> => (await fetch(url)).text();

    const envoyPorts = await endpoints(t, each, seed);
    const [port, admin, ours] = [await freePort(), await freePort(), await freePort()];
    const envoy = await startEnvoy(path as string, envoyConfig(port, admin, envoyPorts, each), port);
    t.after(() => envoy.stop());
    const expected = await judged(port, hosts, async () =>
      seenIn(await texts(`http://127.0.0.1:${admin}/clusters`), envoyPorts, inRow),
    );

    const ourPorts = await endpoints(t, each, seed);
    await withNode(ourConfig(ours, ourPorts, each), async (node) => {
      const found = await judged(ours, hosts, async () =>
        seenIn(await texts(`${node.adminUrl}/clusters?format=text`), ourPorts, inRow),
      );
      assert.deepEqual(found, expected, `seed ${seed}`);
      t.diagnostic(
        `ejected ${JSON.stringify(found.ejected)}, ${found.statistics?.join(' / ') ?? 'in a row'}`,
      );
    });
  });
