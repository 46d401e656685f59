import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { buildSnapshot, removedSlots, renderConfig } from '../../src/config/index.ts';
import { ConfigLoader } from '../../src/config/load/index.ts';
import { type FaultCase, tellsFaults, tellsWarnings } from './fault-cases.ts';
import { draftOf, slotAllocator } from './kit.ts';

const config = (parts: { listener?: string; rule?: string; service?: string; more?: string }) => `
listeners: [{ name: web, address: ":8080"${parts.listener ?? ''} }]
routes: [{ name: shop, rules: [{ backendRefs: [{ name: s }]${parts.rule ?? ''} }] }]
services:
  - { name: s, endpoints: [{ address: 1.2.3.4:80 }]${parts.service ?? ''} }
  - { name: rls, protocol: grpc, endpoints: [{ address: 1.2.3.5:80 }] }
${parts.more ?? ''}`;
const rule = (limits: string) => config({ rule: `, rateLimits: [${limits}]` });
const global = (fields: string) =>
  config({ rule: `, globalRateLimit: { service: rls, domain: d, ${fields} }` });

test('a limit has its defaults, and is known by where it stands', () => {
  const limits =
    '{ name: a, requests: 5 }, { name: b, requests: 7, interval: 1m, burst: 2, per: { useSourceIp: true } }';
  const draft = draftOf(
    config({
      listener: `, rateLimits: [${limits}]`,
      rule: `, rateLimits: [${limits}]`,
      service: `, rateLimits: [${limits}]`,
    }),
  );
  const [a, b] = draft.routes[0]?.rules[0]?.rateLimits ?? [];
  assert.deepEqual(a, {
    id: 'routes/shop/0/a',
    name: 'a',
    requests: 5,
    intervalMs: 1_000,
    burst: 5,
    per: null,
    enforcedPercent: 100,
    status: 429,
    headers: false,
  });
  assert.deepEqual([b?.intervalMs, b?.burst, b?.per], [60_000, 2, { type: 'source' }]);
  assert.equal(draft.listeners[0]?.rateLimits[1]?.id, 'listeners/web/b');
  assert.equal(draft.services[0]?.rateLimits[1]?.id, 'services/s/b');
});

test('a limit service is asked with Envoy’s actions and defaults', () => {
  const draft = draftOf(
    global(
      `descriptors: [{ actions: [{ genericKey: { descriptorValue: v } }, { remoteAddress: {} }, { sourceCluster: {} }, { destinationCluster: {} }] },
       { actions: [{ requestHeaders: { headerName: X-User, descriptorKey: user } }, { headerValueMatch: { descriptorValue: m, headers: [{ name: A, value: b }] } }] }]`,
    ),
  );
  assert.deepEqual(draft.routes[0]?.rules[0]?.globalRateLimit, {
    service: 'rls',
    domain: 'd',
    descriptors: [
      [
        { type: 'genericKey', key: 'generic_key', value: 'v' },
        { type: 'remoteAddress' },
        { type: 'sourceCluster' },
        { type: 'destinationCluster' },
      ],
      [
        { type: 'requestHeaders', header: 'x-user', key: 'user', skipIfAbsent: false },
        {
          type: 'headerValueMatch',
          key: 'header_match',
          value: 'm',
          expectMatch: true,
          headers: [{ type: 'Exact', name: 'a', value: 'b' }],
        },
      ],
    ],
    timeoutMs: 20,
    failureModeDeny: false,
    status: 429,
    statusOnError: 500,
    enforcedPercent: 100,
    headers: false,
  });
});

test('what /config shows of limits is a configuration that says the same', () => {
  const slotOf = slotAllocator();
  const snapshot = buildSnapshot(
    draftOf(
      config({
        listener: ', rateLimits: [{ name: a, requests: 5, per: { httpCookieName: c }, headers: true }]',
        rule: `, rateLimits: [{ name: b, requests: 5, per: { httpQueryParameterName: q }, enforcedPercentage: 5% }],
          globalRateLimit: { service: rls, domain: d, failureModeDeny: true, timeout: 1s, descriptors: [{ actions: [{ remoteAddress: {} }, { requestHeaders: { headerName: h, descriptorKey: k, skipIfAbsent: true } },
          { headerValueMatch: { descriptorValue: m, expectMatch: false, headers: [{ type: RegularExpression, name: a, value: b+ }] } }, { genericKey: { descriptorValue: g } }] }] }`,
        service:
          ', rateLimits: [{ name: c, requests: 5, interval: 10s, burst: 50, httpStatus: 503, per: { workload: true } }]',
      }),
    ),
    1,
    slotOf,
  );
  assert.deepEqual(buildSnapshot(draftOf(stringify(renderConfig(snapshot))), 1, slotOf), snapshot);
});

test('a limit keeps its slot while it says the same, another rate is another bucket, and slots are given back', () => {
  const slotOf = slotAllocator();
  const asked: string[] = [];
  const counting: typeof slotOf = (kind, key) => {
    if (kind.startsWith('limit')) asked.push(kind);
    return slotOf(kind, key);
  };
  const limit = '{ name: a, requests: 5, per: { useSourceIp: true } }';
  const draft = draftOf(rule(`${limit}, { name: b, requests: 1 }`));
  const first = { draft, snapshot: buildSnapshot(draft, 1, counting) };
  assert.deepEqual(asked, ['limit', 'limit-table', 'limit']);
  assert.deepEqual(
    first.snapshot.limitSlots.map(({ id, table }) => [id, table >= 0]),
    [
      ['routes/shop/0/a', true],
      ['routes/shop/0/b', false],
    ],
  );
  asked.length = 0;
  const changed = buildSnapshot(draftOf(rule(`${limit}, { name: b, requests: 2 }`)), 2, counting, first);
  assert.equal(changed.limitSlots[0], first.snapshot.limitSlots[0]);
  assert.deepEqual(asked, ['limit']);
  assert.deepEqual(removedSlots(first.snapshot, changed), [
    { kind: 'limit', key: 'routes/shop/0/b|1/1000ms+1|', slot: first.snapshot.limitSlots[1]?.slot },
  ]);
  // What does not concern the bucket leaves it alone.
  const shadowed = draftOf(
    rule(`${limit.replace('requests', 'enforcedPercentage: 0, requests')}, { name: b, requests: 1 }`),
  );
  assert.equal(buildSnapshot(shadowed, 2, counting, first).limitSlots, first.snapshot.limitSlots);
});

test('a reload is told that the rate limit service of an unchanged route has gone', () => {
  const loader = new ConfigLoader('c.yaml', { fileReadable: () => true });
  const text = global('descriptors: [{ actions: [{ remoteAddress: {} }] }]');
  assert.equal(loader.load(text).ok, true);
  assert.equal(loader.load(text.replace('name: rls', 'name: other')).ok, false);
  assert.equal(loader.load(text).ok, true);
  assert.equal(loader.load(text.replace('protocol: grpc', 'protocol: http')).ok, false);
});

const CASES: readonly FaultCase[] = [
  {
    name: 'two limits of one name',
    yaml: rule('{ name: a, requests: 1 }, { name: ¦a, requests: 2 }'),
    faults: [['rateLimits[1].name', 'used once', 'rename']],
  },
  {
    name: 'more requests than a bucket can count',
    yaml: rule('{ name: a, requests: ¦1000001 }'),
    faults: [['rateLimits[0].requests', '1000000 requests a second', 'lengthen']],
  },
  {
    name: 'two keys of one limit',
    yaml: rule('{ name: a, requests: 1, per: ¦{ useSourceIp: true, httpHeaderName: x } }'),
    faults: [['rateLimits[0].per', 'one of httpHeaderName', 'two limits']],
  },
  {
    name: 'a key that is none',
    yaml: rule('{ name: a, requests: 1, per: ¦{} }'),
    faults: [['rateLimits[0].per', 'one of', 'useSourceIp: true']],
  },
  {
    name: "Envoy's words for a bucket",
    yaml: rule('{ name: a, requests: 1, ¦max_tokens: 5 }'),
    faults: [['max_tokens', 'one of the keys', 'use burst']],
  },
  {
    name: 'a limit that lacks its rate',
    yaml: rule('¦{ name: a }'),
    faults: [['rateLimits[0].requests', 'a whole number', 'add it']],
  },
  {
    name: 'a rate limit service that there is not',
    yaml: global('descriptors: [{ actions: [{ remoteAddress: {} }] }]').replace(
      'service: rls',
      'service: ¦rsl',
    ),
    faults: [['globalRateLimit.service', 'the name of a service', 'did you mean']],
  },
  {
    name: 'a rate limit service that speaks HTTP/1.1',
    yaml: global('descriptors: [{ actions: [{ remoteAddress: {} }] }]').replace(
      'service: rls',
      'service: ¦s',
    ),
    faults: [['globalRateLimit.service', 'speaks HTTP/2', 'protocol: grpc']],
  },
  {
    name: 'no descriptors',
    yaml: global('descriptors: ¦[]'),
    faults: [['globalRateLimit.descriptors', 'at least one', 'never asked']],
  },
  {
    name: 'two actions in one',
    yaml: global('descriptors: [{ actions: [¦{ remoteAddress: {}, sourceCluster: {} }] }]'),
    faults: [['actions[0]', 'one action', 'a member of its own']],
  },
  {
    name: 'a pattern that is none',
    yaml: global(
      'descriptors: [{ actions: [{ headerValueMatch: { descriptorValue: a, headers: [{ type: RegularExpression, name: a, value: ¦"(" }] } }] }]',
    ),
    faults: [['headers[0].value', 'RE2', '']],
  },
  {
    name: 'two rules with limits and one name',
    yaml: `listeners: [{ name: web, address: ":8080" }]
services: [{ name: s, endpoints: [{ address: 1.2.3.4:80 }] }]
routes:
  - name: r
    rules:
      - { name: x, rateLimits: [{ name: a, requests: 1 }], backendRefs: [{ name: s }] }
      - { name: ¦x, rateLimits: [{ name: a, requests: 1 }], backendRefs: [{ name: s }] }
`,
    faults: [['rules[1].name', 'a name of its own', 'rename']],
  },
];

tellsFaults(CASES);

tellsWarnings([
  [
    'limits of a service that carries bytes',
    `listeners: [{ name: db, address: ":1", protocol: tcp }]
tcpRoutes: [{ name: t, backendRefs: [{ name: s }] }]
services: [{ name: s, protocol: tcp, endpoints: [{ address: 1.2.3.4:80 }], rateLimits: [{ name: a, requests: 1 }] }]
`,
    'services[0].rateLimits',
    'requests to count',
  ],
]);
