/**
 * Outboard's configuration file for a spec (JSON is YAML, so it is written as such), and the program: the build that
 * the package ships. Run from its sources Outboard is as fast, but what takes the types out of them stays in memory.
 */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TLS_NAME, TLS_URI } from './certificates.ts';
import { POLICY, type ProxySpec, type ServiceSpec } from './spec.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DIST = join(ROOT, 'dist');

/** Builds what `outboardCommand` runs; once per run of the benchmark. */
export function buildOutboard(): void {
  rmSync(DIST, { recursive: true, force: true });
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const built = spawnSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json')], {
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`Outboard can't be built: ${built.stdout}${built.stderr}`);
}

export function outboardConfig(spec: ProxySpec): Record<string, unknown> {
  const { tls, protection } = spec;
  const certificates = [{ certFile: tls.certFile, keyFile: tls.keyFile }];
  return {
    listeners: spec.listeners.map(({ name, port, tls: isTls, mutual }) => ({
      name,
      address: `127.0.0.1:${port}`,
      ...(isTls
        ? { tls: { certificates, ...(mutual ? { clientAuth: 'require', clientCaFile: tls.caFile } : {}) } }
        : {}),
    })),
    routes: spec.services.map(({ name, hostname }) => ({
      name,
      ...(hostname === null ? {} : { hostnames: [hostname] }),
      rules: [
        {
          backendRefs: [{ name }],
          timeouts: {
            request: `${POLICY.requestTimeoutMs}ms`,
            ...(spec.retry.perTryTimeoutMs === null
              ? {}
              : { backendRequest: `${spec.retry.perTryTimeoutMs}ms` }),
          },
          retry: { attempts: POLICY.retries, retryOn: spec.retry.on, codes: [503] },
          ...(spec.hedging === null ? {} : { hedging: spec.hedging }),
          ...(spec.mirrorToNobody
            ? { filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: NOBODY.name } } }] }
            : {}),
        },
      ],
    })),
    services: [...spec.services, ...(spec.mirrorToNobody ? [NOBODY] : [])].map(
      ({ name, ports, protocol }) => ({
        name,
        protocol,
        endpoints: ports.map((port) => ({ address: `127.0.0.1:${port}` })),
        connectTimeout: `${POLICY.connectTimeoutMs}ms`,
        circuitBreaker: {
          maxConnections: POLICY.maxConnections,
          maxPendingRequests: POLICY.maxPendingRequests,
          maxRequests: POLICY.maxRequests,
        },
        ...(protection?.adaptiveConcurrency === true ? { adaptiveConcurrency: {} } : {}),
        retryBudget: { percent: POLICY.retryBudgetPercent },
        outlierDetection: {
          consecutive5xxErrors: POLICY.consecutive5xxErrors,
          consecutiveGatewayErrors: POLICY.consecutive5xxErrors,
          consecutiveLocalOriginFailures: POLICY.consecutive5xxErrors,
          interval: `${POLICY.outlierIntervalS}s`,
          baseEjectionTime: `${POLICY.baseEjectionS}s`,
          maxEjectionPercent: POLICY.maxEjectionPercent,
        },
        ...(spec.upstreamTls
          ? {
              tls: {
                sni: TLS_NAME,
                caFile: tls.caFile,
                subjectAltNames: [TLS_URI],
                certFile: tls.certFile,
                keyFile: tls.keyFile,
              },
            }
          : {}),
      }),
    ),
    tracing: {
      sampling: `${POLICY.samplingPercent}%`,
      otlp: { endpoint: `http://127.0.0.1:${spec.collectorPort}` },
    },
    ...(protection === null
      ? {}
      : {
          overloadManager: { resourceMonitors: { memory: { maxMemoryBytes: protection.memoryBytes } } },
        }),
    ...(spec.callerConnections === null ? {} : { callers: { maxConnections: spec.callerConnections } }),
    accessLog: { path: outboardLog(spec) },
    admin: { address: `127.0.0.1:${spec.adminPort}` },
    workers: 1,
  };
}

/** Port 1 of the loopback interface refuses. */
const NOBODY: ServiceSpec = { name: 'nobody', hostname: null, ports: [1], protocol: 'http' };

export const outboardLog = (spec: ProxySpec): string => join(spec.directory, 'outboard.log');
export const outboardConfigFile = (spec: ProxySpec): string => join(spec.directory, 'outboard.yaml');

/** Writes the file; the command that runs it. */
export function outboardCommand(spec: ProxySpec): string[] {
  const file = outboardConfigFile(spec);
  writeFileSync(file, JSON.stringify(outboardConfig(spec)));
  return [process.execPath, join(DIST, 'main.js'), 'run', '--config', file, '--log-level', 'warn'];
}
