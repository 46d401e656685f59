/** Istio's failoverPriority: labels in common become priorities, and change with the node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigLoader, loadConfig } from '../../src/config/load/index.ts';
import { draftOf } from './kit.ts';

const ENDPOINTS = [
  'locality: { region: us, zone: a, subZone: s1 }, labels: { network: n1, version: v1 }',
  'locality: { region: us, zone: a, subZone: s2 }, labels: { network: n1, version: v1 }',
  'locality: { region: us, zone: b }, labels: { network: n1, version: v1 }',
  'locality: { region: eu, zone: a }, labels: { network: n1, version: v2 }',
  'locality: { region: us, zone: a, subZone: s1 }, labels: { network: n2, version: v1 }',
  'labels: { version: v2 }',
];

function text(stated: string, top: string): string {
  const endpoints = ENDPOINTS.map((parts, i) => `      - { address: 10.0.0.${i + 1}:80, ${parts} }`).join(
    '\n',
  );
  return `${top}
listeners: [{ name: web, address: ":8080" }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]
services:
  - name: s
    outlierDetection: {}
    loadBalancer: { locality: { failoverPriority: [${stated}] } }
    endpoints:
${endpoints}
`;
}

const HERE = 'locality: { region: us, zone: a, subZone: s1 }\nlabels: { network: n1, rack: "" }';
const REGION = 'topology.kubernetes.io/region';
const ZONE = 'topology.kubernetes.io/zone';

for (const [what, stated, priorities] of [
  // Istio's own example: DestinationRule, LocalityLoadBalancerSetting.
  [
    'all labels, then one fewer each',
    `network, ${REGION}, ${ZONE}, topology.istio.io/subzone`,
    [0, 1, 2, 3, 4, 4],
  ],
  ['a label counts only if those before it agree', `${ZONE}, ${REGION}`, [0, 0, 2, 1, 0, 2]],
  ['a stated value, whatever the node has', `"version=v2", ${REGION}`, [2, 2, 2, 1, 2, 1]],
  ['what neither has is in common', 'rack, network', [0, 0, 0, 0, 1, 1]],
] as const)
  test(`${what}: ${stated}`, () => {
    const [service] = draftOf(text(stated, HERE)).services;
    assert.deepEqual(
      service?.endpoints.map(({ priority }) => priority),
      priorities,
    );
    assert.equal(service?.loadBalancer.locality, null);
  });

test('when the node has other labels, or is elsewhere, the services are read again', () => {
  const loader = new ConfigLoader('c.yaml', {});
  for (const top of [HERE, HERE.replace('n1', 'n2'), HERE.replace('zone: a', 'zone: b'), HERE]) {
    const content = text(`network, ${ZONE}`, top);
    const loaded = loader.load(content);
    assert.ok(loaded.ok);
    assert.deepEqual(loaded, loadConfig(content, 'c.yaml', {}));
  }
});
