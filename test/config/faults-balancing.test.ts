/** Faults in how a service chooses its endpoints: policies, localities, subsets, sessions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { buildSnapshot, renderConfig } from '../../src/config/index.ts';
import { ConfigLoader } from '../../src/config/load/index.ts';
import { type FaultCase, tellsFaults, tellsWarnings, type WarningCase } from './fault-cases.ts';
import { draftOf, slotAllocator } from './kit.ts';

const HERE = 'locality: { region: eu, zone: eu-a }\n';
const service = (fields: string, endpoint = '', top = HERE): string =>
  `${top}listeners: [{ name: web, address: ":8080" }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]
services:
  - { name: s, outlierDetection: {}, endpoints: [{ address: 1.2.3.4:80${endpoint} }], ${fields} }
`;
const backend = (ref: string): string =>
  service('subsets: [{ name: v1, labels: { v: "1" } }]', ', labels: { v: "1" }').replace('{ name: s }', ref);
const locality = (what: string): string => service(`loadBalancer: { locality: ${what} }`);

const CASES: readonly FaultCase[] = [
  {
    name: 'how another policy measures',
    yaml: service('loadBalancer: { peakEwma: ¦{ decay: 5s } }'),
    faults: [['loadBalancer.peakEwma', 'policy: peak-ewma', 'remove peakEwma']],
  },
  {
    name: 'slow start of a policy that knows none',
    yaml: service('loadBalancer: { policy: random, slowStart: ¦{ window: 30s } }'),
    faults: [['loadBalancer.slowStart', 'least-request or round-robin', 'change the policy']],
  },
  {
    name: 'an aggression that stands still',
    yaml: service('loadBalancer: { slowStart: { window: 30s, aggression: ¦0 } }'),
    faults: [['slowStart.aggression', 'a number above 0', 'evenly']],
  },
  {
    name: 'localities that are for nothing, and for two things',
    yaml: `${locality('¦{}')}  - { name: t, endpoints: [{ address: 1.2.3.4:80 }], loadBalancer: { locality: ¦{ failover: [], distribute: [] } }, outlierDetection: {} }\n`,
    faults: [
      ['loadBalancer.locality', 'one of failover, failoverPriority, distribute, zoneAware', 'failover: []'],
      ['loadBalancer.locality', 'one of failover, failoverPriority, distribute, zoneAware', 'keep one'],
    ],
  },
  {
    name: 'a node that is nowhere',
    yaml: service('loadBalancer: { locality: ¦{ failover: [] } }', '', ''),
    faults: [['loadBalancer.locality', 'where this node is', 'locality: { region']],
  },
  {
    name: 'shares that are not all',
    yaml: locality('{ distribute: [{ from: eu/*, to: ¦{ "eu/*": 80, "us/*": 10 } }] }'),
    faults: [['distribute[0].to', '100 together', 'every request']],
  },
  {
    name: 'a locality of four parts',
    yaml: locality('{ distribute: [{ from: ¦a/b/c/d, to: { "*": 100 } }] }'),
    faults: [['distribute[0].from', 'a locality such as', 'REGION/ZONE/SUBZONE']],
  },
  {
    name: 'priorities beside failover, which makes them',
    yaml: service('loadBalancer: { locality: { failover: [] } }', ', priority: ¦1'),
    faults: [['endpoints[0].priority', 'no priority beside', 'remove one of the two']],
  },
  {
    name: 'failover by a label that the node has not, and by where it is when nobody knows',
    yaml: `${service('loadBalancer: { locality: { failoverPriority: ¦[rack, "disk=ssd"] } }', '', '')}  - { name: t, endpoints: [{ address: 1.2.3.4:80 }], loadBalancer: { locality: ¦{ failoverPriority: [topology.kubernetes.io/zone] } }, outlierDetection: {} }\n`,
    faults: [
      ['locality.failoverPriority', 'with the rack of this node', 'rack=VALUE'],
      ['loadBalancer.locality', 'where this node is', 'locality: { region'],
    ],
  },
  {
    name: 'callers that are no service',
    yaml: locality('{ zoneAware: { localService: ¦me } }'),
    faults: [['zoneAware.localService', 'the name of a service', 'list the callers']],
  },
  {
    name: 'zones beside a key',
    yaml: service(
      'loadBalancer: { policy: maglev, consistentHash: { useSourceIp: true }, locality: { zoneAware: ¦{ localService: s } } }',
    ),
    faults: [['locality.zoneAware', 'no consistentHash', 'the key decides']],
  },
  {
    name: 'a subset that the service has not',
    yaml: backend('{ name: s, subset: ¦v2 }'),
    faults: [['backendRefs[0].subset', 'a subset of service s', 'they are v1']],
  },
  {
    name: 'a subset that the service of a TCP route has not',
    yaml: `listeners: [{ name: db, address: ":5432", protocol: tcp }]
tcpRoutes: [{ name: r, backendRefs: [{ name: s, subset: ¦v1 }] }]
services: [{ name: s, protocol: tcp, endpoints: [{ address: 1.2.3.4:80 }] }]
`,
    faults: [['backendRefs[0].subset', 'a subset of service s', 'add subsets to it']],
  },
  {
    name: 'a subset twice, and one of no labels',
    yaml: service(
      'subsets: [{ name: a, labels: { v: "1" } }, { name: ¦a, labels: { v: "1" } }, { name: b, labels: ¦{} }]',
      ', labels: { v: "1" }',
    ),
    faults: [
      ['subsets[1].name', 'each subset once', 'rename'],
      ['subsets[2].labels', 'at least one label', 'leave subset out'],
    ],
  },
  {
    name: "Envoy's name of a fallback, and one without its subset",
    yaml: `${service('subsetFallbackPolicy: ¦ANY_ENDPOINT')}  - { name: t, endpoints: [{ address: 1.2.3.4:80 }], subsetFallbackPolicy: ¦default-subset }\n`,
    faults: [
      ['subsetFallbackPolicy', 'any-endpoint', 'write any-endpoint'],
      ['subsetFallbackPolicy', 'the name of a subset', 'name one of subsets'],
    ],
  },
  {
    name: 'a default subset that is none',
    yaml: service('subsetFallbackPolicy: default-subset, defaultSubset: ¦v1'),
    faults: [['defaultSubset', 'the name of a subset', 'name one of subsets']],
  },
  {
    name: 'a permanent session without an end',
    yaml: service('sessionPersistence: ¦{ sessionName: home, cookieConfig: { lifetimeType: Permanent } }'),
    faults: [['sessionPersistence', 'absoluteTimeout', '12h']],
  },
  {
    name: 'a session by header with what only cookies have, and in a header that is not ours to add',
    yaml: `${service('sessionPersistence: { sessionName: x-home, type: Header, absoluteTimeout: ¦1h, cookieConfig: ¦{} }')}  - { name: t, endpoints: [{ address: 1.2.3.4:80 }], sessionPersistence: { type: Header, sessionName: ¦Connection } }\n`,
    faults: [
      ['sessionPersistence.absoluteTimeout', 'no absoluteTimeout', 'type: Cookie'],
      ['sessionPersistence.cookieConfig', 'no cookieConfig', 'type: Cookie'],
      ['sessionPersistence.sessionName', 'a header that may be added', ''],
    ],
  },
  {
    name: 'a session beside a key, and a cookie that has no name',
    yaml: `${service('loadBalancer: { policy: maglev, consistentHash: { useSourceIp: true } }, sessionPersistence: ¦{ sessionName: home }')}  - { name: t, endpoints: [{ address: 1.2.3.4:80 }], sessionPersistence: { sessionName: ¦"a b" } }\n`,
    faults: [
      ['sessionPersistence', 'no consistentHash', 'remove one of the two'],
      ['sessionPersistence.sessionName', 'a cookie name', ''],
    ],
  },
];

tellsFaults(CASES);

const WARNINGS: readonly WarningCase[] = [
  [
    'failover of endpoints that are never ill',
    locality('{ failover: [] }').replace('outlierDetection: {}, ', ''),
    'locality.failover',
    'outlierDetection or healthCheck',
  ],
  [
    'a subset without endpoints',
    service('subsets: [{ name: a, labels: { v: "1" } }]'),
    'subsets[0]',
    'an endpoint with the labels',
  ],
];

tellsWarnings(WARNINGS);

const FULL = `${HERE}listeners: [{ name: web, address: ":8080" }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: a, subset: v1 }, { name: b }, { name: c }, { name: d }] }] }]
services:
  - name: a
    loadBalancer: { policy: peak-ewma, peakEwma: { defaultRtt: 50ms, decay: 5s }, overprovisioningFactor: 120 }
    subsets: [{ name: v1, labels: { version: v1 } }]
    subsetFallbackPolicy: default-subset
    defaultSubset: v1
    endpoints: [{ address: 1.2.3.4:80, priority: 2, labels: { version: v1 }, locality: { region: eu, zone: a, subZone: x } }]
  - name: b
    loadBalancer:
      slowStart: { window: 60s, aggression: 1.5, minWeightPercent: 20 }
      locality: { distribute: [{ from: eu/*, to: { "eu/a/*": 80, "*": 20 } }] }
    sessionPersistence: { sessionName: home, absoluteTimeout: 1h, cookieConfig: { lifetimeType: Permanent, path: / }, strict: true }
    endpoints: [{ address: 1.2.3.4:80 }]
  - name: c
    outlierDetection: {}
    loadBalancer: { locality: { failover: [{ from: eu, to: us }] } }
    endpoints: [{ address: 1.2.3.4:80 }]
  - name: d
    loadBalancer: { locality: { zoneAware: { localService: a, minClusterSize: 3, routingEnabled: 50% } } }
    endpoints: [{ address: 1.2.3.4:80 }]
`;

test('all of it is read, and /config says it back', () => {
  const draft = draftOf(FULL);
  const [a, b, c, d] = draft.services;
  assert.deepEqual(draft.node.locality, { region: 'eu', zone: 'eu-a', subZone: '' });
  assert.deepEqual(a?.endpoints[0], {
    address: '1.2.3.4',
    port: 80,
    weight: 1,
    priority: 2,
    locality: { region: 'eu', zone: 'a', subZone: 'x' },
    labels: { version: 'v1' },
  });
  assert.deepEqual(a?.loadBalancer.peakEwma, { defaultRttMs: 50, decayMs: 5_000 });
  assert.equal(a?.defaultSubset, 'v1');
  assert.deepEqual(b?.loadBalancer.slowStart, { windowMs: 60_000, aggression: 1.5, minWeightPercent: 20 });
  assert.deepEqual(b?.sessionPersistence, {
    type: 'cookie',
    sessionName: 'home',
    path: '/',
    absoluteTimeoutMs: 3_600_000,
    permanent: true,
    strict: true,
  });
  assert.deepEqual(b?.loadBalancer.locality, {
    type: 'distribute',
    distribute: [
      {
        from: 'eu/*',
        to: [
          { locality: 'eu/a/*', weight: 80 },
          { locality: '*', weight: 20 },
        ],
      },
    ],
  });
  assert.deepEqual(c?.loadBalancer.locality, { type: 'failover', failover: [{ from: 'eu', to: 'us' }] });
  assert.deepEqual(d?.loadBalancer.locality, {
    type: 'zone-aware',
    localService: 'a',
    minClusterSize: 3,
    routingEnabled: 50,
  });
  assert.equal(draft.routes[0]?.rules[0]?.backends[0]?.subset, 'v1');
  const slotOf = slotAllocator();
  const snapshot = buildSnapshot(draft, 1, slotOf);
  assert.deepEqual(buildSnapshot(draftOf(stringify(renderConfig(snapshot))), 1, slotOf), snapshot);
});

test('a reload by members notices what other members no longer have', () => {
  const loader = new ConfigLoader('c.yaml', { directory: '/etc/outboard', processors: 4 });
  assert.ok(loader.load(FULL).ok);
  for (const [before, after] of [
    ['{ name: v1, labels', '{ name: v3, labels'],
    [HERE, ''],
    ['name: a\n', 'name: z\n'],
  ] as const) {
    const changed = loader.load(FULL.replace(before, after));
    assert.ok(!changed.ok, `without ${before}`);
    assert.ok(loader.load(FULL).ok);
  }
});
