/**
 * The rate limit protocol beside the real Envoy: the same configuration makes both ask the same question, byte for byte, and
 * tell their client the same of the same answer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';
import { type Answered, type Rls, startRls } from '../kit/rls.ts';

const { path, skip } = peer('envoy');

const HTTP =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const FILTER = 'type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
const PROTOCOL = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** The descriptors in Envoy's words. */
const RATE_LIMITS = [
  {
    actions: [
      { generic_key: { descriptor_value: 'shop' } },
      { generic_key: { descriptor_key: 'k', descriptor_value: 'ü' } },
      { destination_cluster: {} },
      { source_cluster: {} },
      { remote_address: {} },
    ],
  },
  {
    actions: [
      { request_headers: { header_name: 'x-absent', descriptor_key: 'absent', skip_if_absent: true } },
      { request_headers: { header_name: 'x-user', descriptor_key: 'user' } },
    ],
  },
  {
    actions: [
      {
        header_value_match: {
          descriptor_value: 'gold',
          headers: [
            { name: 'x-plan', string_match: { safe_regex: { regex: 'g.*' } } },
            { name: 'x-user', string_match: { exact: 'ann' } },
          ],
        },
      },
      {
        header_value_match: {
          descriptor_key: 'not',
          descriptor_value: 'silver',
          expect_match: false,
          headers: [{ name: 'x-plan', string_match: { exact: 'silver' } }],
        },
      },
    ],
  },
  { actions: [{ request_headers: { header_name: 'x-none', descriptor_key: 'none' } }] },
];

/** The same in ours. */
const DESCRIPTORS = `[
  { actions: [{ genericKey: { descriptorValue: shop } }, { genericKey: { descriptorKey: k, descriptorValue: ü } }, { destinationCluster: {} }, { sourceCluster: {} }, { remoteAddress: {} }] },
  { actions: [{ requestHeaders: { headerName: x-absent, descriptorKey: absent, skipIfAbsent: true } }, { requestHeaders: { headerName: x-user, descriptorKey: user } }] },
  { actions: [{ headerValueMatch: { descriptorValue: gold, headers: [{ name: x-plan, type: RegularExpression, value: g.* }, { name: x-user, value: ann }] } },
              { headerValueMatch: { descriptorKey: not, descriptorValue: silver, expectMatch: false, headers: [{ name: x-plan, value: silver }] } }] },
  { actions: [{ requestHeaders: { headerName: x-none, descriptorKey: none } }] } ]`;

function envoyConfig(port: number, backend: number, rls: number): unknown {
  const at = (number: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: number } });
  const cluster = (name: string, number: number, http2: boolean): unknown => ({
    name,
    type: 'STATIC',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at(number) } }] }],
    },
    ...(http2
      ? {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': PROTOCOL,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }
      : {}),
  });
  const manager = {
    '@type': HTTP,
    stat_prefix: 'a',
    use_remote_address: true,
    route_config: {
      virtual_hosts: [
        {
          name: 'a',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'a', rate_limits: RATE_LIMITS } }],
        },
      ],
    },
    http_filters: [
      {
        name: 'ratelimit',
        typed_config: {
          '@type': FILTER,
          domain: 'shop',
          timeout: '5s',
          failure_mode_deny: true,
          enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
          rate_limited_as_resource_exhausted: true,
          rate_limit_service: {
            grpc_service: { envoy_grpc: { cluster_name: 'rls' } },
            transport_api_version: 'V3',
          },
        },
      },
      { name: 'router', typed_config: { '@type': ROUTER } },
    ],
  };
  return {
    node: { id: 'edge', cluster: 'edge' },
    static_resources: {
      listeners: [
        {
          name: 'a',
          address: at(port),
          filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
        },
      ],
      clusters: [cluster('a', backend, false), cluster('rls', rls, true)],
    },
  };
}

function ourConfig(backend: number, rls: number): string {
  return `
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes:
  - name: all
    rules:
      - backendRefs: [{ name: a }]
        globalRateLimit: { service: rls, domain: shop, timeout: 5s, failureModeDeny: true, headers: true, descriptors: ${DESCRIPTORS.replaceAll('\n', ' ')} }
services:
  - { name: a, endpoints: [{ address: 127.0.0.1:${backend} }] }
  - { name: rls, protocol: grpc, endpoints: [{ address: 127.0.0.1:${rls} }] }
tracing: { serviceName: edge }
`;
}

const REQUESTS: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'x-user': 'ann' },
  { 'x-user': 'ann', 'x-plan': 'gold' },
  { 'x-user': 'bob', 'x-plan': 'silver', 'x-absent': 'here' },
  { 'x-user': 'ann', 'x-plan': 'silver', 'x-none': 'a, b' },
  // The bytes of an ü in UTF-8.
  { 'x-forwarded-for': '9.9.9.9', 'x-user': '\xc3\xbc' },
];

const limit = (unit: number, requests = 10, name?: string) => ({
  code: 'OK' as const,
  limit: { requests, unit, ...(name === undefined ? {} : { name }) },
  remaining: 3,
  resetSeconds: 7,
  resetNanos: 9,
});

const ANSWERS: readonly (readonly [name: string, answer: Answered | number])[] = [
  ['ok', { code: 'OK' }],
  ['unknown', { code: 'UNKNOWN' }],
  ['over', { code: 'OVER_LIMIT' }],
  ['an error', 14],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((unit): [string, Answered] => [
    `unit ${unit}`,
    { code: 'OK', statuses: [limit(unit)] },
  ]),
  [
    'several limits',
    {
      code: 'OVER_LIMIT',
      statuses: [
        { code: 'OK' },
        limit(2, 100, 'per-ip'),
        { code: 'OVER_LIMIT', limit: { requests: 5, unit: 1 }, remaining: 0, resetSeconds: 1 },
        { code: 'OVER_LIMIT', limit: { requests: 6, unit: 4, name: 'all' }, remaining: 0, resetSeconds: 99 },
      ],
    },
  ],
  [
    'fields and a body',
    {
      code: 'OVER_LIMIT',
      body: '{"slow":"down"}',
      responseHeaders: [
        ['content-type', 'application/json'],
        ['x-quota', 'none'],
      ],
    },
  ],
  [
    'fields for both sides',
    { code: 'OK', requestHeaders: [['x-class', 'gold']], responseHeaders: [['x-quota', '3']] },
  ],
];

/** What a client is told, Retry-After aside, which Envoy leaves to the service. */
async function told(
  port: number,
  headers: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
  const field = (name: string): string | null => answer.headers.get(name);
  const body = await answer.text();
  const names = [
    'x-envoy-ratelimited',
    'x-ratelimit-limit',
    'x-ratelimit-remaining',
    'x-ratelimit-reset',
    'x-quota',
  ];
  return {
    status: answer.status,
    ...Object.fromEntries(names.map((name) => [name, field(name)])),
    ...(field('content-type') === 'application/json' ? { body } : {}),
    class: field('x-class'),
  };
}

async function withBoth(
  use: (envoy: number, ours: number, rls: Rls) => Promise<void>,
  answer: () => Answered | number,
): Promise<void> {
  const backend = await httpBackend((request, response) => {
    const seen = request.headers['x-class'];
    if (typeof seen === 'string') response.setHeader('x-class', seen);
    response.end('ok');
  });
  const rls = await startRls(answer);
  const port = await freePort();
  const envoy = await startEnvoy(path as string, envoyConfig(port, backend.port, rls.port), port);
  try {
    await withProxy(ourConfig(backend.port, rls.port), (proxy) => use(port, proxy.port, rls));
  } finally {
    await envoy.stop();
    rls.close();
    await backend.close();
  }
}

test('both ask the same question, byte for byte', { skip }, async () => {
  await withBoth(
    async (envoy, ours, rls) => {
      for (const headers of REQUESTS) {
        rls.asked.length = 0;
        await told(envoy, headers);
        await told(ours, headers);
        const [theirs, mine] = rls.asked;
        assert.deepEqual(mine?.descriptors, theirs?.descriptors);
        assert.equal(mine?.bytes.toString('hex'), theirs?.bytes.toString('hex'), JSON.stringify(headers));
      }
    },
    () => ({ code: 'OK' }),
  );
});

test('both tell their client the same of the same answer', { skip }, async () => {
  let said: Answered | number = { code: 'OK' };
  await withBoth(
    async (envoy, ours) => {
      for (const [name, answer] of ANSWERS) {
        said = answer;
        const theirs = await told(envoy, {});
        assert.deepEqual(await told(ours, {}), theirs, name);
      }
    },
    () => said,
  );
});
