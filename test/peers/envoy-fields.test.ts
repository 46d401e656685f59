/**
 * Envoy's fields beside the real Envoy: the same requests from a trusted caller and from a stranger, and for each what the endpoint
 * is sent, how often, and what comes back.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const { path, skip } = peer('envoy');
const ROUTE_TIMEOUT_MS = 800;

const HTTP_MANAGER =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

interface Case {
  readonly name: string;
  readonly fields: Readonly<Record<string, string>>;
  /** What the endpoint answers, the last one to all that follow; 0: nothing. */
  readonly answers: readonly number[];
}

const CASES: readonly Case[] = [
  { name: 'nothing', fields: {}, answers: [503] },
  { name: 'retry-on without a number', fields: { 'x-envoy-retry-on': '5xx' }, answers: [503, 503, 200] },
  {
    name: 'retry-on, and how often',
    fields: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' },
    answers: [503, 502, 500, 200],
  },
  { name: 'how often alone', fields: { 'x-envoy-max-retries': '3' }, answers: [409, 200] },
  {
    name: 'several conditions, one unknown',
    fields: { 'x-envoy-retry-on': 'gateway-error,whatever, retriable-4xx', 'x-envoy-max-retries': '5' },
    answers: [409, 504, 500, 200],
  },
  {
    name: 'codes with their condition',
    fields: {
      'x-envoy-retry-on': 'retriable-status-codes',
      'x-envoy-retriable-status-codes': '418,x,425',
      'x-envoy-max-retries': '2',
    },
    answers: [418, 418, 200],
  },
  {
    name: 'codes without their condition',
    fields: {
      'x-envoy-retry-on': 'gateway-error',
      'x-envoy-retriable-status-codes': '418',
      'x-envoy-max-retries': '2',
    },
    answers: [418, 200],
  },
  {
    name: 'header names with their condition',
    fields: {
      'x-envoy-retry-on': 'retriable-headers',
      'x-envoy-retriable-header-names': 'X-Nothing, X-Count',
    },
    answers: [200, 200],
  },
  {
    name: 'a number that is none',
    fields: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': 'many' },
    answers: [503, 503, 200],
  },
  { name: 'a timeout', fields: { 'x-envoy-upstream-rq-timeout-ms': '60' }, answers: [0] },
  {
    name: 'a per-try timeout',
    fields: {
      'x-envoy-retry-on': '5xx',
      'x-envoy-upstream-rq-timeout-ms': '2000',
      'x-envoy-upstream-rq-per-try-timeout-ms': '60',
    },
    answers: [0, 200],
  },
  {
    name: 'a per-try timeout that is no shorter',
    fields: { 'x-envoy-upstream-rq-timeout-ms': '70', 'x-envoy-upstream-rq-per-try-timeout-ms': '70' },
    answers: [0],
  },
  { name: 'no timeout', fields: { 'x-envoy-upstream-rq-timeout-ms': '0' }, answers: [200] },
];

/** What a caller sees of its request, and its endpoint. */
interface Outcome {
  readonly status: number;
  readonly fields: readonly string[];
  readonly sent: readonly (readonly string[])[];
}

const mine = (name: string): boolean => name.startsWith('x-envoy-');

async function outcomeOf(
  t: TestContext,
  start: (endpoint: number) => Promise<number>,
  test: Case,
  from: string,
) {
  const sent: string[][] = [];
  const backend = await httpBackend((incoming, response) => {
    const status = test.answers[Math.min(sent.length, test.answers.length - 1)] as number;
    sent.push(
      Object.entries(incoming.headers)
        .filter(([name]) => mine(name))
        .map(([name, value]) => `${name}: ${told(name, String(value))}`)
        .sort(),
    );
    if (status === 0) return;
    response.writeHead(status, { 'x-count': '1' }).end();
  });
  t.after(() => backend.close());
  const port = await start(backend.port);
  const headers = { ...test.fields, ...(from === '' ? {} : { 'x-forwarded-for': from }) };
  // A method that neither repeats by itself.
  const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers });
  await answer.arrayBuffer();
  const fields = [...answer.headers.keys()].filter(mine).sort();
  return { status: answer.status, fields, sent } satisfies Outcome;
}

/** By the limit that it comes from: how much of it a backoff took is chance. */
function told(name: string, value: string): string {
  if (name !== 'x-envoy-expected-rq-timeout-ms') return value;
  return `of ${[60, 70, ROUTE_TIMEOUT_MS, 2_000].find((limit) => Number(value) <= limit)}`;
}

const socket = (port: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function envoyConfig(port: number, endpoint: number): unknown {
  const manager = {
    '@type': HTTP_MANAGER,
    stat_prefix: 'a',
    use_remote_address: true,
    internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
    route_config: {
      virtual_hosts: [
        {
          name: 'a',
          domains: ['*'],
          include_request_attempt_count: true,
          routes: [
            { match: { prefix: '/' }, route: { cluster: 'a', timeout: `${ROUTE_TIMEOUT_MS / 1_000}s` } },
          ],
        },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': ROUTER } }],
  };
  const host = { endpoint: { address: socket(endpoint) } };
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
          load_assignment: { cluster_name: 'a', endpoints: [{ lb_endpoints: [host] }] },
        },
      ],
    },
  };
}

const ourConfig = (endpoint: number): string => `
listeners: [{ name: web, address: 127.0.0.1:0, trustedCallers: [127.0.0.0/8] }]
routes:
  - name: all
    rules:
      - backendRefs: [{ name: a }]
        timeouts: { request: ${ROUTE_TIMEOUT_MS}ms }
        retry: { attempts: 1, resetHeaders: [] }
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${endpoint} }], retryBudget: off }]
`;

for (const from of ['', '203.0.113.7']) {
  const who = from === '' ? 'a trusted caller' : 'a stranger behind a proxy';
  for (const one of CASES) {
    test(`${who}: ${one.name}`, { skip }, async (t) => {
      const theirs = await outcomeOf(
        t,
        async (endpoint) => {
          const port = await freePort();
          const envoy = await startEnvoy(path as string, envoyConfig(port, endpoint), port);
          t.after(() => envoy.stop());
          return port;
        },
        one,
        from,
      );
      let done = (): void => {};
      const ours = await outcomeOf(
        t,
        (endpoint) =>
          new Promise<number>((resolve) => {
            const finished = withProxy(ourConfig(endpoint), async (proxy) => {
              resolve(proxy.port);
              await new Promise<void>((end) => {
                done = end;
              });
            });
            t.after(() => finished);
          }),
        one,
        from,
      );
      done();
      assert.deepEqual(ours, theirs);
    });
  }
}
