/**
 * A running admin server over a made-up process, and a client that can send any header, Host included (fetch
 * can't). `calls` is what the server asked the process to do.
 */
import { type IncomingHttpHeaders, request } from 'node:http';
import type { TestContext } from 'node:test';
import { type AdminApi, startAdmin } from '../../src/admin/index.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface TestAdmin {
  readonly port: number;
  readonly calls: string[];
  readonly errors: string[];
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  send(path: string, call: Call): Promise<Reply>;
}

export async function withAdmin(
  t: TestContext,
  overrides: Partial<AdminApi> = {},
  host = '127.0.0.1',
): Promise<TestAdmin> {
  const calls: string[] = [];
  const errors: string[] = [];
  const api: AdminApi = { ...plainApi(calls), ...overrides };
  const onError = (message: string, error: unknown): void => {
    errors.push(`${message}: ${error}`);
  };
  const server = await startAdmin({ host, port: 0, api, onError });
  t.after(() => server.close());
  const { port } = server.address;
  const send = (path: string, call: Call): Promise<Reply> => exchange(port, path, call);
  return { port, calls, errors, send, get: (path, headers = {}) => send(path, { headers }) };
}

function exchange(port: number, path: string, { method = 'GET', headers = {}, body }: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const out = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode as number, headers: incoming.headers, body: text }),
      );
      incoming.on('error', reject);
    });
    out.on('error', reject);
    out.end(body);
  });
}

const GAUGE = { active: 1, limit: 10, highWaterMark: 7, opened: 2, overflow: 3 };

function plainApi(calls: string[]): AdminApi {
  let level: ReturnType<AdminApi['logLevel']> = 'info';
  const worker = {
    state: 'ready' as const,
    version: 3,
    startedAt: '2026-01-01T00:00:00.000Z',
    uptimeMs: 60_000,
    heartbeatAgeMs: 12,
    crashes: 0,
    lastExit: null,
    utilization: 0.25,
  };
  return {
    readiness: () => ({ ready: true, state: 'ready', reasons: [] }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'up 1\n' }),
    config: () => ({
      source: { file: '/etc/mesh.yaml', version: 3, lastGoodAt: null, lastError: null, rejected: 0 },
      config: { listeners: [{ name: 'web', tls: { certificates: ['file:/etc/web.pem'] } }] },
    }),
    callers: () =>
      ['10.1.2.3', '10.1.2.4'].map((address) => ({
        address,
        connections: 3,
        requests: 2,
        bufferedBytes: 1_024,
        penaltyUntil: '2026-01-01T00:00:30.000Z',
        connectionsTotal: 20,
        offences: 11,
        penalties: 1,
        refusedConnections: 9,
        refusedRequests: 0,
      })),
    clusters: () => [
      {
        name: 'cart',
        circuitBreaker: {
          connections: GAUGE,
          pending: GAUGE,
          requests: GAUGE,
          retries: { ...GAUGE, limit: null },
        },
        retryBudgetExhausted: 4,
        successRates: { external: { average: 90, threshold: 52 }, localOrigin: null },
        adaptiveConcurrency: null,
        endpoints: [
          {
            address: '127.0.0.1:9001',
            weight: 1,
            priority: 0,
            locality: { region: 'eu', zone: 'eu-a', subZone: '' },
            labels: null,
            latencyMs: null,
            health: 'unhealthy',
            degraded: true,
            outlier: 'ejected',
            ejectedUntil: '2026-01-01T00:00:30.000Z',
            ejections: 2,
            lastDetection: { detector: 'SUCCESS_RATE', observed: 50, threshold: 52 },
            successRate: 50,
            localOriginSuccessRate: null,
            activeRequests: 5,
            consecutive: { errors5xx: 1, gatewayErrors: 0, localOriginFailures: 2 },
            lastCheck: { at: '2026-01-01T00:00:00.000Z', result: 'status 503' },
          },
        ],
      },
    ],
    rateLimits: () => [
      { id: 'routes/cart/0/all', requests: 5, intervalMs: 1_000, burst: 5, remaining: 2, keys: null },
      { id: 'services/cart/per-user', requests: 1, intervalMs: 1_000, burst: 1, remaining: 1, keys: 7 },
    ],
    traces: ({ traceId }) => {
      const traces = traceId === null || traceId === 'abc' ? [{ traceId: 'abc' }] : [];
      return { traces, text: () => 'abc\n  web' };
    },
    decisions: ({ requestId, limit }) => [{ requestId, limit }],
    overload: () => ({ enabled: false, resources: [], workers: [] }),
    workers: () => [
      { index: 0, ...worker },
      { index: 1, ...worker },
    ],
    restartWorker: async (index) => {
      calls.push(`restart ${index}`);
    },
    killWorker: (index) => {
      calls.push(`kill ${index}`);
    },
    drain: () => {
      calls.push('drain');
    },
    logLevel: () => level,
    setLogLevel: (wanted) => {
      level = wanted;
      calls.push(`level ${wanted}`);
    },
    cpuProfile: async (target, ms) => {
      calls.push(`profile ${target} ${ms}`);
      return '{"nodes":[]}';
    },
  };
}
