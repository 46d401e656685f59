/** Outlier detection and health checks: what the file says becomes, and what is told of mistakes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FaultCase, tellsFaults, tellsWarnings, type WarningCase } from './fault-cases.ts';
import { draftOf } from './kit.ts';

const service = (more: string, endpoints = 1): string => {
  const list = Array.from({ length: endpoints }, (_, i) => `{ address: 10.0.0.${i + 1}:80 }`).join(', ');
  return `listeners: [{ name: web, address: ":8080" }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]
services:
  - { name: s, endpoints: [${list}], ${more} }
`;
};

const drafted = (more: string) => draftOf(service(more)).services[0];

test('outlier detection has the defaults of Envoy, but for what docs/DEVIATIONS.md says', () => {
  assert.deepEqual(drafted('outlierDetection: {}')?.outlierDetection, {
    consecutive5xxErrors: 5,
    consecutiveGatewayErrors: 5,
    consecutiveLocalOriginFailures: 5,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectionJitterMs: 0,
    maxEjectionPercent: 50,
    maxEjectionCount: 1,
    minHealthPercent: 0,
    successRateMinimumHosts: 5,
    successRateRequestVolume: 100,
    successRateStdevFactor: 1900,
    failurePercentageThreshold: 85,
    failurePercentageMinimumHosts: 5,
    failurePercentageRequestVolume: 50,
    enforcingConsecutive5xx: 100,
    enforcingConsecutiveGatewayFailure: 100,
    enforcingConsecutiveLocalOriginFailure: 100,
    enforcingSuccessRate: 100,
    enforcingLocalOriginSuccessRate: 100,
    enforcingFailurePercentage: 0,
    enforcingFailurePercentageLocalOrigin: 0,
  });
});

test('intervals of a health check follow from interval where they are not stated', () => {
  const plain = drafted('healthCheck: { interval: 20s }')?.healthCheck;
  assert.deepEqual(
    [plain?.intervalJitterMs, plain?.initialJitterMs, plain?.unhealthyIntervalMs, plain?.noTrafficIntervalMs],
    [2_000, 0, 20_000, null],
  );
  const stated = drafted(
    'healthCheck: { intervalJitter: 0s, initialJitter: 3s, unhealthyInterval: 1s, noTrafficInterval: 1m }',
  )?.healthCheck;
  assert.deepEqual(
    [
      stated?.intervalJitterMs,
      stated?.initialJitterMs,
      stated?.unhealthyIntervalMs,
      stated?.noTrafficIntervalMs,
    ],
    [0, 3_000, 1_000, 60_000],
  );
});

test('a check over TCP sends and expects bytes in hexadecimal digits, of either case', () => {
  assert.deepEqual(drafted('healthCheck: { tcp: {} }')?.healthCheck?.tcp, {
    send: '',
    receive: [],
  });
  assert.deepEqual(
    drafted('healthCheck: { tcp: { send: "50494E47", receive: [504F4e4f, "00"] } }')?.healthCheck?.tcp,
    { send: '50494e47', receive: ['504f4e4f', '00'] },
  );
});

const FAULTS: readonly FaultCase[] = [
  {
    name: 'half a byte, text, and digits that YAML takes for a number in a TCP check',
    yaml: service('healthCheck: { tcp: { send: ¦abc, receive: [¦PING, ¦1234, ¦50494E47] } }'),
    faults: [
      ['tcp.send', 'hexadecimal digits', '0abc'],
      ['tcp.receive[0]', 'hexadecimal digits', '50494e47'],
      ['tcp.receive[1]', 'hexadecimal digits', 'quote the digits'],
      ['tcp.receive[2]', 'hexadecimal digits', 'quote the digits'],
    ],
  },
  {
    name: "Envoy's payloads and connection reuse",
    yaml: service('healthCheck: { ¦reuseConnection: true, tcp: { send: ¦{ text: ff } } }'),
    faults: [
      ['healthCheck.reuseConnection', '', 'a connection of its own'],
      ['tcp.send', 'hexadecimal digits', 'the digits themselves'],
    ],
  },
  {
    name: 'a check over TCP that asks for a page, or for gRPC too',
    yaml: service(
      'protocol: grpc, healthCheck: { tcp: ¦{}, grpc: {}, path: ¦/x, host: ¦a.b, expectedStatuses: ¦[204] }',
    ),
    faults: [
      ['healthCheck.tcp', 'grpc or tcp', 'remove one'],
      ['healthCheck.path', 'no path beside tcp', 'bytes have no paths'],
      ['healthCheck.host', 'no host beside tcp', 'bytes have no Host'],
      ['healthCheck.expectedStatuses', 'no expectedStatuses beside tcp', 'bytes have no paths'],
    ],
  },
  {
    name: 'words of Envoy’s outlier detection that have another name',
    yaml: service(
      'outlierDetection: { ¦consecutive5xx: 5, ¦alwaysEjectOneHost: true, enforcingSuccessRate: ¦120 }',
    ),
    faults: [
      ['consecutive5xx', '', 'consecutive5xxErrors'],
      ['alwaysEjectOneHost', '', 'maxEjectionCount: 1'],
      ['enforcingSuccessRate', 'from 0 to 100', ''],
    ],
  },
];

tellsFaults(FAULTS);

const WARNINGS: readonly WarningCase[] = [
  [
    'a floor that leaves nobody to eject',
    service('outlierDetection: { minHealthPercent: 70 }', 3),
    'minHealthPercent',
    'room to eject one of the 3 endpoints',
  ],
  [
    'a GET to endpoints that speak bytes',
    service('protocol: tcp, healthCheck: {}')
      .replace(
        /^routes.*$/m,
        'tcpRoutes: [{ name: r, parentRefs: [{ sectionName: web }], backendRefs: [{ name: s }] }]',
      )
      .replace('":8080"', '":8080", protocol: tcp'),
    'healthCheck',
    'endpoints that answer GET',
  ],
];

tellsWarnings(WARNINGS);
