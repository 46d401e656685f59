/** Adaptive concurrency, the overload manager and priorities in the configuration file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { buildSnapshot, type ConfigDraft, renderConfig } from '../../src/config/index.ts';
import { type FaultCase, tellsFaults, tellsWarnings } from './fault-cases.ts';
import { draftOf, slotAllocator } from './kit.ts';

const LISTENERS = 'listeners: [{ name: web, address: ":8080" }]';
const ROUTES = 'routes: [{ name: r, rules: [{ backendRefs: [{ name: cart }] }] }]';

const withAdaptive = (section: string, more = ''): string => `${LISTENERS}
${ROUTES}
services:
  - name: cart
    endpoints: [{ address: 10.0.0.1:80 }]
    adaptiveConcurrency: ${section}${more}
`;

const withOverload = (section: string): string => `${LISTENERS}
${ROUTES}
services: [{ name: cart, endpoints: [{ address: 10.0.0.1:80 }] }]
overloadManager: ${section}
`;

/** What a `/config` of these says when it is pasted into a file. */
function readAgain(draft: ConfigDraft): ConfigDraft {
  return draftOf(stringify(renderConfig(buildSnapshot(draft, 1, slotAllocator()))));
}

test('adaptive concurrency has the defaults of Envoy and of its documentation', () => {
  const [cart] = draftOf(withAdaptive('{}')).services;
  assert.deepEqual(cart?.adaptiveConcurrency, {
    percentile: 50,
    updateIntervalMs: 100,
    maxLimit: 1000,
    minLimit: null,
    minRtt: {
      intervalMs: 60_000,
      requestCount: 50,
      jitterPercent: 15,
      minConcurrency: 3,
      bufferPercent: 25,
      fixedMs: null,
    },
  });
});

test('adaptive concurrency is written as in Envoy, and read back', () => {
  const draft = draftOf(
    withAdaptive(`
      sampleAggregatePercentile: 90%
      concurrencyLimitParams: { concurrencyUpdateInterval: 200ms, minConcurrencyLimit: 25 }
      minRttCalcParams: { minConcurrency: 50, jitter: 10, interval: 30s, requestCount: 20, fixedValue: 5ms }`),
  );
  const [cart] = draft.services;
  assert.deepEqual([cart?.adaptiveConcurrency?.minLimit, cart?.adaptiveConcurrency?.minRtt.fixedMs], [25, 5]);
  assert.deepEqual(readAgain(draft).services[0]?.adaptiveConcurrency, cart?.adaptiveConcurrency);
});

test('both are off where nothing is said of them', () => {
  const draft = draftOf(withAdaptive('{}').replace(/ {4}adaptive.*\n/, ''));
  assert.equal(draft.services[0]?.adaptiveConcurrency, null);
  assert.equal(draft.node.overload, null);
  assert.equal(draft.routes[0]?.rules[0]?.priority, 'default');
});

test('an overload manager of which nothing is said has the stated steps', () => {
  const { overload } = draftOf(withOverload('{}')).node;
  assert.ok(overload);
  const from = (resource: string): Record<string, string> =>
    Object.fromEntries(
      Object.entries(overload.actions).flatMap(([name, triggers]) =>
        triggers
          .filter((each: { resource: string }) => each.resource === resource)
          .map((each: { scaling: number; saturation: number }) => [
            name,
            `${each.scaling}-${each.saturation}`,
          ]),
      ),
    );
  assert.deepEqual(from('memory'), {
    shrinkHeap: '0.8-0.8',
    reduceTimeouts: '0.75-0.9',
    disableHttpKeepalive: '0.85-0.85',
    stopAcceptingRequests: '0.85-0.98',
    rejectIncomingConnections: '0.95-0.95',
  });
  assert.deepEqual(from('eventLoop'), {
    stopAcceptingRequests: '0.5-1',
    stopAcceptingConnections: '0.75-0.75',
  });
  assert.deepEqual(from('acceptQueue'), { resetAcceptQueue: '1-1' });
  assert.deepEqual(overload.monitors, {
    memory: { maxBytes: null },
    heap: true,
    eventLoop: { maxDelayMs: 1_000 },
    acceptQueue: { maxWaitMs: 500 },
    descriptors: { max: null },
  });
});

test('triggers and priorities are read back', () => {
  const draft = draftOf(
    withOverload(`
  resourceMonitors:
    memory: { maxMemoryBytes: 268435456 }
    heap: { enabled: false }
    eventLoop: { maxDelay: 50ms }
  actions:
    shrinkHeap: []
    stopAcceptingRequests:
      - { name: memory, scaled: { scalingThreshold: 70%, saturationThreshold: 90% } }
      - { name: eventLoop, threshold: 80% }
`).replace('backendRefs', 'priority: high, backendRefs'),
  );
  const { overload } = draft.node;
  assert.deepEqual(overload?.actions.shrinkHeap, []);
  assert.deepEqual(overload?.actions.stopAcceptingRequests, [
    { resource: 'memory', scaling: 0.7, saturation: 0.9 },
    { resource: 'eventLoop', scaling: 0.8, saturation: 0.8 },
  ]);
  const again = readAgain(draft);
  assert.deepEqual(again.node.overload, overload);
  assert.equal(again.routes[0]?.rules[0]?.priority, 'high');
});

const FAULTS: FaultCase[] = [
  {
    name: 'a highest limit below the lowest',
    yaml: withAdaptive('{ concurrencyLimitParams: { maxConcurrencyLimit: ¦2 } }'),
    faults: [['.maxConcurrencyLimit', 'at least 3', 'raise it']],
  },
  {
    name: 'adaptive concurrency for bytes',
    yaml: `${LISTENERS.replace(':8080"', ':8080", protocol: tcp')}
tcpRoutes: [{ name: t, backendRefs: [{ name: cart }] }]
services:
  - name: cart
    protocol: tcp
    endpoints: [{ address: 10.0.0.1:80 }]
    adaptiveConcurrency: ¦{}
`,
    faults: [['.adaptiveConcurrency', 'a service that speaks HTTP', 'maxConnections']],
  },
  {
    name: 'a trigger with two ranges, one with none, and one upside down',
    yaml: withOverload(`
  actions:
    stopAcceptingRequests:
      - ¦{ name: memory, threshold: 90%, scaled: { scalingThreshold: 1%, saturationThreshold: 2% } }
      - ¦{ name: heap }
      - { name: memory, scaled: { scalingThreshold: 95%, saturationThreshold: ¦85% } }
`),
    faults: [
      ['stopAcceptingRequests[0]', 'threshold or scaled', 'write {'],
      ['stopAcceptingRequests[1]', 'threshold or scaled', 'write {'],
      ['.saturationThreshold', 'more than scalingThreshold', 'raise it'],
    ],
  },
  {
    name: "a monitor by Envoy's name, and one that is not there",
    yaml: withOverload(`
  actions:
    shrinkHeap: [{ name: ¦envoy.resource_monitors.fixed_heap, threshold: 90% }]
    reduceTimeouts: [{ name: ¦disk, threshold: 90% }]
`),
    faults: [
      ['.name', 'memory', 'use memory'],
      ['.name', 'memory', ''],
    ],
  },
  {
    name: 'a priority that is none',
    yaml: withOverload('{}').replace('backendRefs', 'priority: ¦urgent, backendRefs'),
    faults: [['.priority', 'low', '']],
  },
];

tellsFaults(FAULTS);

tellsWarnings([
  [
    'a trigger of a resource that is not watched',
    withOverload(
      '{ resourceMonitors: { heap: { enabled: false } }, actions: { shrinkHeap: [{ name: heap, threshold: 90% }] } }',
    ),
    'shrinkHeap[0].name',
    'a resource that is watched',
  ],
]);
