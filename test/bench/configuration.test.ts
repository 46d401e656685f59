/** The configurations under test are valid, and say the same in both proxies' words. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { backendConfig } from '../../bench/setup/backend.ts';
import { envoyCommand, envoyConfig } from '../../bench/setup/envoy.ts';
import { ACCESS_LOG_FIELDS } from '../../bench/setup/envoy-log.ts';
import { outboardConfig } from '../../bench/setup/outboard.ts';
import { GRPC_RETRY, POLICY, type ProxySpec, serviceList } from '../../bench/setup/spec.ts';
import { FakeClock } from '../../src/base/index.ts';
import { loadConfig } from '../../src/config/load/index.ts';
import { accessLogLine } from '../../src/telemetry/access-log-line.ts';
import { peer } from '../kit/peers.ts';
import { answered } from '../telemetry/kit.ts';
import { withSpec } from './kit.ts';

const VARIANTS: Readonly<Record<string, Partial<ProxySpec>>> = {
  'a hop': {},
  'a client half with mTLS': { upstreamTls: true },
  'a server half': { services: [{ name: 'inbound', hostname: null, ports: [9_000], protocol: 'http' }] },
  'HTTP/2 to the endpoints': { services: serviceList(100, [9_000, 9_001], 2, 'http2') },
  'gRPC to the endpoints': { services: serviceList(100, [9_000, 9_001], 2, 'grpc'), retry: GRPC_RETRY },
  'routes that change': { changing: true },
  overload: { protection: { memoryBytes: 400_000_000, adaptiveConcurrency: true } },
  faults: { retry: { on: ['connect-failure', 'reset', 'gateway-error'], perTryTimeoutMs: 250 } },
};
const envoy = peer('envoy');

for (const [name, changes] of Object.entries(VARIANTS)) {
  test(`Outboard accepts ${name} without a warning`, () => {
    withSpec((spec) => {
      const result = loadConfig(JSON.stringify(outboardConfig(spec)), 'bench.yaml');
      assert.ok(result.ok, JSON.stringify(result));
      assert.deepEqual(result.warnings, []);
    }, changes);
  });

  test(`Envoy accepts ${name}`, { skip: envoy.skip }, () => {
    withSpec((spec) => {
      const [program = '', ...args] = envoyCommand(envoy.path ?? '', spec);
      const run = spawnSync(program, [...args, '--mode', 'validate'], { encoding: 'utf8' });
      assert.equal(run.status, 0, run.stderr);
    }, changes);
  });
}

test('both have the same breakers, outlier detection, retries and sampling', () => {
  withSpec((spec) => {
    const theirs = JSON.stringify(envoyConfig(spec));
    const ours = JSON.stringify(outboardConfig(spec));
    for (const [mine, other] of [
      [`"maxConnections":${POLICY.maxConnections}`, `"max_connections":${POLICY.maxConnections}`],
      [`"maxRequests":${POLICY.maxRequests}`, `"max_requests":${POLICY.maxRequests}`],
      [
        `"consecutive5xxErrors":${POLICY.consecutive5xxErrors}`,
        `"consecutive_5xx":${POLICY.consecutive5xxErrors}`,
      ],
      [`"attempts":${POLICY.retries}`, `"num_retries":${POLICY.retries}`],
      [`"sampling":"${POLICY.samplingPercent}%"`, `"random_sampling":{"value":${POLICY.samplingPercent}}`],
    ] as const) {
      assert.ok(ours.includes(mine), mine);
      assert.ok(theirs.includes(other), other);
    }
  });
});

test('TLS listeners take HTTP/2, and only services that say so are spoken to in it', () => {
  const http2 = '"http2_protocol_options":{}';
  withSpec((spec) => {
    const theirs = JSON.stringify(envoyConfig(spec));
    assert.ok(theirs.includes('"alpn_protocols":["h2","http/1.1"]'));
    assert.equal(theirs.includes(http2), false);
    assert.ok(JSON.stringify(outboardConfig(spec)).includes('"protocol":"http"'));
  });
  withSpec(
    (spec) => {
      assert.ok(JSON.stringify(envoyConfig(spec)).includes(http2));
      assert.ok(JSON.stringify(outboardConfig(spec)).includes('"protocol":"http2"'));
    },
    { services: serviceList(1, [9_000], 1, 'http2') },
  );
});

test("Envoy's access log has the fields of Outboard's", () => {
  const line = JSON.parse(accessLogLine(answered(new FakeClock()), '-')) as Record<string, unknown>;
  assert.deepEqual(Object.keys(line).sort(), [...Object.keys(ACCESS_LOG_FIELDS), 'listener'].sort());
});

test('services have endpoints of their own, in turn', () => {
  const [first, second] = serviceList(100, [1, 2, 3]);
  const hostname = 'svc-0.bench.example';
  assert.deepEqual(first, { name: 'svc-0', hostname, ports: [1, 2], protocol: 'http' });
  assert.deepEqual(second?.ports, [2, 3]);
});

test('the backend listens on loopback only', () => {
  const config = backendConfig({ directory: '/tmp/bench', ports: [9_000, 9_001], collectorPort: 4_318 });
  const listens = [...config.matchAll(/listen (\S+)/g)].map(([, address = '']) => address);
  assert.equal(listens.length, 4);
  for (const address of listens) assert.match(address, /^(?:127\.0\.0\.1:\d+|unix:)/);
});
