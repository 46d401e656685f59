/**
 * What a good client notices of each attack: its latencies beside the attack and without, through the real process with
 * one worker. The attacker has a process of its own and connects again as soon as it is cut off; the good client has
 * connected before. Prints, and asserts nothing: machines differ.
 *
 * Run: node test/http2-attacks/latency.ts --seconds 2 --rounds 3
 * The attacker runs at the lowest priority: what is seen is what it makes the proxy do, and not that it keeps a processor busy
 * (`--rude`: at the same priority). `--same`: attacker and good client have the same address. `--unbounded`: without limits of callers. `--only NAME`: those whose name holds that.
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
const attackerAt = (index: number): string => `127.0.${1 + (index >> 7)}.${1 + (index & 127)}`;

interface Options {
  /** Of a round. */
  readonly seconds: number;
  readonly rounds: number;
  readonly same: boolean;
  readonly polite: boolean;
  readonly attacks: readonly string[];
}

/** Best 99th percentiles by what went on beside, and beside nothing in the same minute. */
type Report = Map<string, { readonly p99: number; readonly alone: number }>;

interface Round {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly connections: number;
  readonly refused: number;
}

/** One request after the other. `index`: of the attacker. */
async function measure(port: number, options: Options, beside: string, index: number): Promise<Round> {
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
  const at = (share: number): number => latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? 0;
  const { connections = 0, refused = 0 } = attacker ?? {};
  return { p50: at(0.5), p99: at(0.99), max: at(1), connections, refused };
}

function median(rounds: readonly Round[], of: keyof Round): number {
  const values = rounds.map((round) => round[of]).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)] ?? 0;
}

function best(rounds: readonly Round[]): number {
  return Math.min(...rounds.map(({ p99 }) => p99));
}

/**
 * Rounds alone and beside by turns, since what else the machine does comes and goes: medians, and of the 99th percentile the
 * best round of either kind, in which the machine did least else.
 */
async function rows(port: number, options: Options): Promise<Report> {
  const report: Report = new Map();
  console.log(
    `${'milliseconds'.padEnd(38)}     p50     p99     max   alone    best   alone   ratio  opened refused`,
  );
  await measure(port, { ...options, seconds: 1 }, '', 0);
  let attackers = 0;
  for (const name of options.attacks) {
    const alone: Round[] = [];
    const beside: Round[] = [];
    for (let round = 0; round < options.rounds; round++) {
      alone.push(await measure(port, options, '', attackers));
      beside.push(await measure(port, options, name, attackers++));
    }
    const found = { p99: best(beside), alone: best(alone) };
    const medians = [
      median(beside, 'p50'),
      median(beside, 'p99'),
      median(beside, 'max'),
      median(alone, 'p99'),
    ];
    const bests = [found.p99, found.alone, found.p99 / found.alone];
    const figures = [...medians, ...bests].map((figure) => figure.toFixed(2));
    const counts = [median(beside, 'connections'), median(beside, 'refused')].map(String);
    console.log(name.padEnd(38) + [...figures, ...counts].map((text) => text.padStart(8)).join(''));
    report.set(name, found);
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
  console.log(
    "\np99 as a multiple of what it is alone: Outboard, Envoy; and p99 of Outboard as a multiple of Envoy's",
  );
  for (const [name, { p99, alone }] of ours) {
    const envoy = theirs.get(name) ?? { p99: 0, alone: 0 };
    const figures = [p99 / alone, envoy.p99 / envoy.alone, p99 / envoy.p99];
    console.log(name.padEnd(38) + figures.map((figure) => figure.toFixed(2).padStart(8)).join(''));
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      same: { type: 'boolean' },
      rude: { type: 'boolean' },
      unbounded: { type: 'boolean' },
      envoy: { type: 'boolean' },
      only: { type: 'string' },
    },
  });
  const all = [ELSEWHERE, HONEST, ...Object.keys(ATTACKS)];
  const options: Options = {
    seconds: Number(values.seconds ?? 2),
    rounds: Number(values.rounds ?? 3),
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
