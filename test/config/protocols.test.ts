import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RE2JS } from 're2js';
import { stringify } from 'yaml';
import {
  applyDelta,
  buildSnapshot,
  type ConfigDraft,
  diffSnapshots,
  type MatchConfig,
  renderConfig,
} from '../../src/config/index.ts';
import { ConfigLoader, loadConfig } from '../../src/config/load/index.ts';
import { draftOf, faultsOf, slotAllocator } from './kit.ts';

const SERVICES = `
services:
  - { name: a, endpoints: [{ address: 10.0.0.1:80 }] }
  - { name: b, protocol: tcp, endpoints: [{ address: 10.0.0.1:81 }] }
`;

/** What a `/config` of these says when it is pasted into a file. */
function readAgain(draft: ConfigDraft): ConfigDraft {
  return draftOf(stringify(renderConfig(buildSnapshot(draft, 1, slotAllocator()))));
}

test('a listener offers the protocols that it speaks by ALPN', () => {
  const alpn = (protocol: string, more = '') =>
    draftOf(
      `listeners: [{ name: l, address: ":1", protocol: ${protocol}, tls: { certificates: [{ certFile: c, keyFile: k }] } }]\n${more}`,
    ).listeners[0]?.tls?.alpn;
  assert.deepEqual(alpn('auto'), ['h2', 'http/1.1']);
  assert.deepEqual(alpn('http'), ['http/1.1']);
  assert.deepEqual(alpn('http2'), ['h2']);
  assert.deepEqual(alpn('tcp', `tcpRoutes: [{ name: t, backendRefs: [{ name: b }] }]${SERVICES}`), []);
});

test('reads what listeners and services say of protocols', () => {
  const { listeners, services } = draftOf(`
listeners:
  - name: l
    address: ":1"
    protocol: http2
    http2: { maxConcurrentStreams: 7 }
    timeouts: { detect: 0s, tunnelIdle: 10m, tunnelMax: 24h }
routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]
services:
  - name: s
    protocol: grpc
    endpoints: [{ address: 10.0.0.1:80 }]
    maxConnectionAge: 5m
    http2: { maxConcurrentStreams: 1000, keepaliveInterval: 30s, keepaliveTimeout: 2s }
    healthCheck: { grpc: { service: shop.v1.Cart }, host: cart.shop }
`);
  assert.equal(listeners[0]?.protocol, 'http2');
  assert.deepEqual(listeners[0]?.http2, { maxConcurrentStreams: 7 });
  assert.equal(listeners[0]?.detectTimeoutMs, 0);
  assert.equal(listeners[0]?.tunnelIdleTimeoutMs, 600_000);
  assert.equal(listeners[0]?.tunnelMaxMs, 86_400_000);
  assert.equal(services[0]?.protocol, 'grpc');
  assert.equal(services[0]?.maxConnectionAgeMs, 300_000);
  assert.deepEqual(services[0]?.http2, {
    maxConcurrentStreams: 1000,
    keepaliveIntervalMs: 30_000,
    keepaliveTimeoutMs: 2_000,
  });
  assert.deepEqual(services[0]?.healthCheck?.grpc, { service: 'shop.v1.Cart' });
  assert.equal(services[0]?.healthCheck?.host, 'cart.shop');
});

test('a gRPC health check needs no words but its own, over TLS with ALPN too', () => {
  const check = (more: string) =>
    draftOf(`${LISTENER}services: [{ name: s, dns: "s.shop:80", healthCheck: { grpc: {} }, ${more} }]\n`)
      .services[0]?.healthCheck?.grpc;
  assert.deepEqual(check('protocol: http2'), { service: '' });
  assert.deepEqual(check('tls: {}'), { service: '' });
});

const LISTENER = 'listeners: [{ name: web, address: ":80" }]\n';
const routes = (rule: string) =>
  `${LISTENER}routes: [{ name: r, rules: [{ backendRefs: [{ name: a }], ${rule} }] }]${SERVICES}`;

type Written = readonly [match: string, path: MatchConfig['path'], yes: string[], no: string[]];

const MATCHES: readonly Written[] = [
  ['service: s.v1.Cart, method: Add', { type: 'Exact', value: '/s.v1.Cart/Add' }, [], []],
  ['service: s.v1.Cart', { type: 'PathPrefix', value: '/s.v1.Cart' }, [], []],
  [
    'method: Add',
    { type: 'RegularExpression', value: '/[^/]+/(?:Add)' },
    ['/s.v1.Cart/Add'],
    ['/s.v1.Cart/AddAll', '/x/s.v1.Cart/Add', '/Add'],
  ],
  [
    'type: RegularExpression, service: "^s[.]v1[.](Cart|Stock)$", method: "Get.*|List"',
    { type: 'RegularExpression', value: '/(?:s[.]v1[.](Cart|Stock))/(?:Get.*|List)' },
    ['/s.v1.Cart/GetAll', '/s.v1.Stock/List'],
    ['/s.v1.Cart/ListAll', '/as.v1.Cart/List', '/s.v1.Cart'],
  ],
  [
    'type: RegularExpression, service: "(?i)S[.]v1[.]\\\\w+"',
    { type: 'RegularExpression', value: '/(?:(?i)S[.]v1[.]\\w+)/[^/]+' },
    ['/s.V1.cart/Add'],
    ['/s.v1.Cart/', '/s.v1.Cart/a/b'],
  ],
  [
    'type: RegularExpression, method: "a\\\\$"',
    { type: 'RegularExpression', value: '/[^/]+/(?:a\\$)' },
    ['/s/a$'],
    ['/s/a'],
  ],
];

test('a gRPC match is the path of its service and method', () => {
  for (const [match, path, yes, no] of MATCHES) {
    const draft = draftOf(routes(`matches: [{ grpc: { ${match} } }]`));
    const [read] = draft.routes[0]?.rules[0]?.matches ?? [];
    assert.deepEqual(read, { path, method: 'POST', grpc: true, headers: [], queryParams: [] }, match);
    assert.deepEqual(readAgain(draft).routes, draft.routes, match);
    for (const [paths, holds] of [
      [yes, true],
      [no, false],
    ] as const)
      for (const text of paths)
        assert.equal(RE2JS.compile(path.value).matches(text), holds, `${match}: ${text}`);
  }
});

test('a prefix can be replaced where the match is a service alone', () => {
  const rewrite =
    'filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /s.v2.Cart } } }]';
  draftOf(routes(`matches: [{ grpc: { service: s.v1.Cart } }], ${rewrite}`));
});

test('gRPC requests have the timeout that is stated, and no other', () => {
  const timeouts = (rule: string) => {
    const draft = draftOf(routes(rule));
    assert.deepEqual(readAgain(draft).routes, draft.routes, rule);
    return draft.routes[0]?.rules[0]?.timeouts;
  };
  assert.deepEqual(timeouts(''), { requestMs: 15_000, backendRequestMs: 0, grpcRequestMs: 0 });
  const attempt = 'timeouts: { backendRequest: 2s }';
  assert.deepEqual(timeouts(attempt), { requestMs: 15_000, backendRequestMs: 2_000, grpcRequestMs: 0 });
  const stated = { requestMs: 15_000, backendRequestMs: 0, grpcRequestMs: 15_000 };
  assert.deepEqual(timeouts('timeouts: { request: 15s }'), stated);
  const off = { requestMs: 0, backendRequestMs: 0, grpcRequestMs: 0 };
  assert.deepEqual(timeouts('timeouts: { request: 0s }'), off);
});

test('an attempt at a gRPC request may take longer than the default that it does not have', () => {
  const minute = 'timeouts: { backendRequest: 1m }';
  assert.deepEqual(faultsOf(routes(`matches: [{ grpc: { service: a.B } }], ${minute}`)), []);
  assert.equal(faultsOf(routes(minute)).length, 1);
  assert.equal(faultsOf(routes(`matches: [], ${minute}`)).length, 1);
});

const L4 = `
listeners:
  - { name: web, address: ":80" }
  - { name: p1, address: ":1", protocol: tls }
  - { name: p2, address: ":2", protocol: tls }
  - { name: c1, address: ":3", protocol: tcp }
tlsRoutes:
  - { name: all, backendRefs: [{ name: a, weight: 3 }, { name: b }] }
  - { name: some, parentRefs: [{ sectionName: p2 }, { sectionName: web }], hostnames: [X.shop, "*.x.shop"], backendRefs: [{ name: a }] }
tcpRoutes:
  - { name: rest, parentRefs: [{ sectionName: web }], backendRefs: [{ name: b }] }
  - { name: db, backendRefs: [{ name: b }] }
${SERVICES}`;

test('TLS and TCP routes know their listeners; none stated is every one of their own protocol', () => {
  const draft = draftOf(L4);
  assert.deepEqual(draft.tlsRoutes, [
    {
      name: 'all',
      listeners: ['p1', 'p2'],
      hostnames: [],
      backends: [
        { service: 'a', subset: null, weight: 3 },
        { service: 'b', subset: null, weight: 1 },
      ],
    },
    {
      name: 'some',
      listeners: ['p2', 'web'],
      hostnames: ['x.shop', '*.x.shop'],
      backends: [{ service: 'a', subset: null, weight: 1 }],
    },
  ]);
  assert.deepEqual(draft.tcpRoutes, [
    { name: 'rest', listeners: ['web'], backends: [{ service: 'b', subset: null, weight: 1 }] },
    { name: 'db', listeners: ['c1'], backends: [{ service: 'b', subset: null, weight: 1 }] },
  ]);
  const again = readAgain(draft);
  assert.deepEqual(
    [again.tlsRoutes, again.tcpRoutes, again.listeners],
    [draft.tlsRoutes, draft.tcpRoutes, draft.listeners],
  );
  assert.deepEqual(faultsOf(L4), []);
});

test('a changed TCP route makes a delta of one, and the rest keeps its identity', () => {
  const slotOf = slotAllocator();
  const first = buildSnapshot(draftOf(L4), 1, slotOf);
  const other = L4.replace(
    '{ name: db, backendRefs: [{ name: b }] }',
    '{ name: db, backendRefs: [{ name: a }] }',
  );
  const second = buildSnapshot(draftOf(other), 2, slotOf);
  const worker = applyDelta(null, structuredClone(diffSnapshots(null, first)));
  assert.deepEqual(worker, first);
  const delta = structuredClone(diffSnapshots(first, second));
  assert.deepEqual(delta.tcpRoutes, { upserts: [second.tcpRoutes[1]], removes: [], order: null });
  assert.deepEqual(delta.tlsRoutes, { upserts: [], removes: [], order: null });
  const next = applyDelta(worker, delta);
  assert.deepEqual(next, second);
  assert.equal(next.tlsRoutes, worker.tlsRoutes);
  assert.equal(next.tcpRoutes[0], worker.tcpRoutes[0]);
});

test('a route that did not change is held to what its listener and service have become', () => {
  const options = { directory: '/etc/outboard', processors: 4, fileReadable: () => true };
  const text = `
listeners:
  - { name: web, address: ":80" }
  - { name: more, address: ":81" }
tcpRoutes:
  - { name: t, parentRefs: [{ sectionName: more }], backendRefs: [{ name: b }] }
routes:
  - { name: r, parentRefs: [{ sectionName: more }], rules: [{ backendRefs: [{ name: a }] }] }
services:
  - { name: a, endpoints: [{ address: 10.0.0.1:80 }] }
  - { name: b, endpoints: [{ address: 10.0.0.1:81 }] }
`;
  const steps: readonly (readonly [from: string, to: string, faults: number])[] = [
    ['', '', 0],
    ['":81"', '":81", protocol: tcp', 1],
    ['{ name: a,', '{ name: a, protocol: tcp,', 1],
    ['{ name: b,', '{ name: b, protocol: tcp,', 0],
    ['{ name: b,', '{ name: other,', 1],
    ['parentRefs: [{ sectionName: more }], backendRefs', 'backendRefs', 1],
  ];
  const loader = new ConfigLoader('c.yaml', options);
  const first = loader.load(text);
  assert.ok(first.ok);
  for (const [from, to, faults] of steps) {
    const changed = text.replace(from, to);
    const result = loader.load(changed);
    assert.deepEqual(result, loadConfig(changed, 'c.yaml', options), changed);
    assert.equal(result.ok ? 0 : result.faults.length, faults, changed);
    if (result.ok) assert.equal(result.draft.routes[0], first.draft.routes[0], changed);
    assert.ok(loader.load(text).ok);
  }
});
