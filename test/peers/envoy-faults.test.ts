/** Faults by header beside the real Envoy: the same fields do the same to the same request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';

const { path, skip } = peer('envoy');
const TYPE = 'type.googleapis.com/envoy.extensions.filters';
const BODY = 'abcdefgh'.repeat(2_048);

interface Case {
  readonly name: string;
  readonly fields: Readonly<Record<string, string>>;
  /** At least so long, in ms. */
  readonly takes?: number;
}

const CASES: readonly Case[] = [
  { name: 'nothing', fields: {} },
  { name: 'an abort', fields: { 'abort-request': '418' } },
  { name: 'an abort with a status that is none', fields: { 'abort-request': '999' } },
  { name: 'an abort with words', fields: { 'abort-request': 'please' } },
  { name: 'an abort of nobody', fields: { 'abort-request': '418', 'abort-request-percentage': '0' } },
  {
    name: 'an abort of more than may be',
    fields: { 'abort-request': '418', 'abort-request-percentage': '400' },
  },
  { name: 'a delay', fields: { 'delay-request': '150' }, takes: 150 },
  { name: 'a delay of nobody', fields: { 'delay-request': '5000', 'delay-request-percentage': '0' } },
  { name: 'a delay and an abort', fields: { 'delay-request': '150', 'abort-request': '503' }, takes: 150 },
  // 16 KiB, of which one slice of 50 ms goes at once.
  { name: 'a slow answer', fields: { 'throughput-response': '64' }, takes: 195 },
  {
    name: 'an answer that is slow for nobody',
    fields: { 'throughput-response': '1', 'throughput-response-percentage': '0' },
  },
  { name: 'an answer at no rate', fields: { 'throughput-response': '0' } },
];

const socket = (port: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const all = { numerator: 100 };

function envoyConfig(port: number, endpoint: number): unknown {
  const fault = {
    '@type': `${TYPE}.http.fault.v3.HTTPFault`,
    delay: { header_delay: {}, percentage: all },
    abort: { header_abort: {}, percentage: all },
    response_rate_limit: { header_limit: {}, percentage: all },
  };
  const manager = {
    '@type': `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'a',
    route_config: {
      virtual_hosts: [
        { name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'a' } }] },
      ],
    },
    http_filters: [
      { name: 'fault', typed_config: fault },
      { name: 'router', typed_config: { '@type': `${TYPE}.http.router.v3.Router` } },
    ],
  };
  return {
    static_resources: {
      listeners: [
        {
          name: 'a',
          address: socket(port),
          filter_chains: [{ filters: [{ name: 'h', typed_config: manager }] }],
        },
      ],
      clusters: [
        {
          name: 'a',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'a',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(endpoint) } }] }],
          },
        },
      ],
    },
  };
}

const OURS = {
  listener: 'trustedCallers: [127.0.0.1]',
  rule: 'fault: { delay: { headerDelay: true }, abort: { headerAbort: true }, responseRateLimit: { headerLimit: true } }',
};

async function ask(port: number, { fields }: Case) {
  const headers = Object.entries(fields).map(
    ([name, value]) => [`x-envoy-fault-${name}`, value] as [string, string],
  );
  const started = performance.now();
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
  const body = await answer.text();
  return { status: answer.status, whole: body === BODY, tookMs: performance.now() - started };
}

test('the same fields, the same faults', { skip }, async (t) => {
  let hits = 0;
  const backend = await httpBackend((_, response) => {
    hits++;
    response.end(BODY);
  });
  t.after(() => backend.close());
  const port = await freePort();
  const envoy = await startEnvoy(path as string, envoyConfig(port, backend.port), port);
  t.after(() => envoy.stop());
  await withProxy(oneService([backend.port], OURS), async (proxy) => {
    for (const one of CASES) {
      const outcome = async (at: number) => {
        const before = hits;
        const { status, whole, tookMs } = await ask(at, one);
        assert.ok(
          tookMs >= (one.takes ?? 0),
          `${one.name}: ${tookMs} ms at ${at === port ? 'Envoy' : 'ours'}`,
        );
        return { status, whole, reached: hits - before };
      };
      assert.deepEqual(await outcome(proxy.port), await outcome(port), one.name);
    }
  });
});
