/**
 * What a good client notices of each attack: its latencies beside the attack and without, through the real process with
 * one worker. The attacker has a process of its own and connects again as soon as it is cut off; the good client has
 * connected before. Prints, and asserts nothing: machines differ.
 *
 * Run: node test/http2-attacks/latency.ts --seconds 3
 * The attacker runs at the lowest priority: what is seen is what it makes the proxy do, and not that it keeps a processor busy
 * (`--rude`: at the same priority). `--same`: attacker and good client have the same address. `--unbounded`: without limits of callers. `--only NAME`: one attack.
 * `--envoy`: the same beside the real Envoy, and how the two compare.
 */
import { parseArgs } from 'node:util';
import { startEnvoy } from '../kit/envoy.ts';
import { sessionClient } from '../kit/http2.ts';
import { withNode } from '../kit/node.ts';
import { peer } from '../kit/peers.ts';
import { freePort, until } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { ATTACKS, ELSEWHERE, HONEST, startAttacker } from './attackers.ts';
import { endpoint } from './endpoints.ts';

/** Of the good client. Each attacker has one of its own: the proxy remembers who offended. */
const CLIENT = '127.0.0.2';
const attackerAt = (index: number): string => `127.0.1.${index + 1}`;

interface Options {
  readonly seconds: number;
  readonly same: boolean;
  readonly polite: boolean;
  readonly attacks: readonly string[];
}

/** 99th percentiles by what went on beside. */
type Report = Map<string, number>;

/** Latencies of one request after the other, sorted. */
async function measure(port: number, options: Options, beside: string, index = 0): Promise<Row> {
  const { seconds, same, polite } = options;
  const client = await sessionClient(port, same ? attackerAt(index) : CLIENT);
  await until(() => !client.session.settling, 'settings');
  const attacker = beside === '' ? null : await startAttacker(beside, port, attackerAt(index), polite);
  const latenciesMs: number[] = [];
  const deadline = performance.now() + 1_000 * seconds;
  while (performance.now() < deadline) {
    const startedMs = performance.now();
    const { status } = await client.request('/', null);
    if (status !== 200) throw new Error(`the good client got ${status}`);
    latenciesMs.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await attacker?.stop();
  client.close();
  latenciesMs.sort((a, b) => a - b);
  return { latenciesMs, connections: attacker?.connections ?? 0, refused: attacker?.refused ?? 0 };
}

interface Row {
  readonly latenciesMs: readonly number[];
  readonly connections: number;
  readonly refused: number;
}

async function rows(port: number, options: Options): Promise<Report> {
  const report: Report = new Map();
  console.log(`${'milliseconds'.padEnd(38)}     p50     p99     max answers opened refused`);
  await measure(port, { ...options, seconds: 1 }, '');
  for (const [index, name] of ['alone', ...options.attacks, 'alone again'].entries()) {
    const beside = name.startsWith('alone') ? '' : name;
    const { latenciesMs, connections, refused } = await measure(port, options, beside, index);
    const at = (share: number): number => latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? 0;
    const times = [0.5, 0.99, 1].map((share) => at(share).toFixed(2).padStart(8)).join('');
    const counts = [latenciesMs.length, connections, refused].map((n) => String(n).padStart(8)).join('');
    console.log(name.padEnd(38) + times + counts);
    report.set(name, at(0.99));
  }
  return report;
}

const TYPES = 'type.googleapis.com/envoy.extensions';

function envoyConfig(port: number, upstreamPort: number): unknown {
  const at = (number: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: number } });
  const manager = {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'a',
    codec_type: 'AUTO',
    http2_protocol_options: { max_concurrent_streams: 100 },
    route_config: {
      virtual_hosts: [
        { name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'a' } }] },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` } }],
  };
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: at(upstreamPort) } }] }];
  return {
    static_resources: {
      listeners: [
        {
          name: 'a',
          address: at(port),
          filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
        },
      ],
      clusters: [{ name: 'a', type: 'STATIC', load_assignment: { cluster_name: 'a', endpoints } }],
    },
  };
}

async function ofOutboard(upstreamPort: number, options: Options, unbounded: boolean): Promise<Report> {
  const port = await freePort();
  const config = oneService([upstreamPort]).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  const callers = unbounded ? 'callers: { offences: off, turn: 0s }\n' : '';
  return withNode(`${config}\n${callers}workers: 1\n`, () => rows(port, options));
}

async function ofEnvoy(path: string, upstreamPort: number, options: Options): Promise<Report> {
  const port = await freePort();
  const envoy = await startEnvoy(path, envoyConfig(port, upstreamPort), port);
  try {
    return await rows(port, options);
  } finally {
    await envoy.stop();
  }
}

function compare(ours: Report, theirs: Report): void {
  console.log('\np99, Outboard : Envoy; each as a multiple of its own alone');
  const alone = (report: Report): number =>
    Math.max(report.get('alone') ?? 0, report.get('alone again') ?? 0);
  for (const [name, p99] of ours) {
    const envoys = theirs.get(name) ?? 0;
    const figures = [p99 / envoys, p99 / alone(ours), envoys / alone(theirs)];
    console.log(name.padEnd(38) + figures.map((figure) => figure.toFixed(2).padStart(8)).join(''));
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      same: { type: 'boolean' },
      rude: { type: 'boolean' },
      unbounded: { type: 'boolean' },
      envoy: { type: 'boolean' },
      only: { type: 'string' },
    },
  });
  const all = [ELSEWHERE, HONEST, ...Object.keys(ATTACKS)];
  const options: Options = {
    seconds: Number(values.seconds ?? 3),
    same: values.same === true,
    polite: values.rude !== true,
    attacks: values.only === undefined ? all : all.filter((name) => name.includes(values.only as string)),
  };
  const upstream = await endpoint('1.1');
  const ours = await ofOutboard(upstream.port, options, values.unbounded === true);
  if (values.envoy === true) {
    const { path, skip } = peer('envoy');
    if (path === null) throw new Error(skip);
    console.log('\nEnvoy');
    compare(ours, await ofEnvoy(path, upstream.port, options));
  }
  await upstream.close();
}

if (import.meta.main) await main();
