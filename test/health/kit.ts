/** Time that moves when told to, made-up checks, and services in as few words as possible. */
import { FakeClock } from '../../src/base/index.ts';
import type { HealthCheckConfig, OutlierConfig, ServiceConfig } from '../../src/config/index.ts';
import type { HealthLedger, Probe, ProbeResult, Timers } from '../../src/controlplane/health/index.ts';

export class FakeTimers implements Timers {
  readonly clock = new FakeClock();
  private pending: { dueMs: number; run: () => void }[] = [];

  after(delayMs: number, run: () => void): () => void {
    const entry = { dueMs: this.clock.nowMs() + delayMs, run };
    this.pending.push(entry);
    return () => {
      this.pending = this.pending.filter((other) => other !== entry);
    };
  }

  /** Fires what is due on the way, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    for (;;) {
      const [next] = this.pending.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
      if (!next) break;
      this.pending = this.pending.filter((other) => other !== next);
      this.clock.advance(Math.max(0, next.dueMs - this.clock.nowMs()));
      next.run();
      await settled();
    }
    this.clock.advance(endMs - this.clock.nowMs());
  }

  get armed(): number {
    return this.pending.length;
  }
}

/** The bits of endpoints that health checks write, by slot. */
export class HealthBits implements HealthLedger {
  readonly passes = new Map<number, boolean>();
  readonly degraded = new Map<number, boolean>();

  setHealth(slot: number, passes: boolean): void {
    this.passes.set(slot, passes);
  }

  setDegraded(slot: number, degraded: boolean): void {
    this.degraded.set(slot, degraded);
  }

  passesHealth(slot: number): boolean {
    return this.passes.get(slot) ?? true;
  }
}

/** Lets every promise that can go on do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A check that waits until the test says how it ended. */
export class ScriptedProbe {
  readonly asked: string[] = [];
  readonly aborted: string[] = [];
  private open: { endpoint: string; resolve: (result: ProbeResult) => void }[] = [];

  readonly probe: Probe = ({ address, port, check }, _secrets, signal) =>
    new Promise((resolve) => {
      const endpoint = `${address}:${port}`;
      this.asked.push(endpoint);
      this.open.push({ endpoint, resolve });
      signal.addEventListener('abort', () => {
        this.aborted.push(endpoint);
        resolve({ passed: false, reason: `timeout after ${check.timeoutMs} ms` });
      });
    });

  get underWay(): number {
    return this.open.length;
  }

  /** Ends the oldest check of this endpoint, or of any. */
  async answer(passed: boolean, endpoint?: string, more: Partial<ProbeResult> = {}): Promise<void> {
    const at = this.open.findIndex((entry) => endpoint === undefined || entry.endpoint === endpoint);
    const [entry] = this.open.splice(at, 1);
    if (at < 0 || !entry) throw new Error(`no check of ${endpoint} is under way`);
    entry.resolve({ passed, reason: passed ? 'status 200' : 'status 503', ...more });
    await settled();
  }
}

export const CHECK: HealthCheckConfig = {
  grpc: null,
  tcp: null,
  path: '/healthz',
  host: null,
  intervalMs: 5_000,
  intervalJitterMs: 500,
  initialJitterMs: 0,
  unhealthyIntervalMs: 5_000,
  noTrafficIntervalMs: null,
  timeoutMs: 1_000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  expectedStatuses: [[200, 299]],
  alwaysLogHealthCheckFailures: false,
};

/** The defaults of the configuration. */
export const OUTLIER: OutlierConfig = {
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
  successRateStdevFactor: 1_900,
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
};

/** A service whose endpoints are `127.0.0.1` at these ports, in ledger slots counted from `firstSlot`. */
export function service(
  name: string,
  ports: readonly number[],
  parts: Partial<ServiceConfig> = {},
  firstSlot = 0,
): ServiceConfig {
  return {
    name,
    slot: 0,
    protocol: 'http',
    endpoints: ports.map((port, i) => ({
      address: '127.0.0.1',
      port,
      weight: 1,
      priority: 0,
      locality: null,
      labels: null,
      slot: firstSlot + i,
    })),
    loadBalancer: { policy: 'least-request', consistentHash: null },
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 60_000,
    maxConnectionAgeMs: 0,
    http2: { maxConcurrentStreams: 100, keepaliveIntervalMs: 0, keepaliveTimeoutMs: 5_000 },
    circuitBreaker: { maxConnections: 8, maxPendingRequests: 8, maxRequests: 8, maxRetries: 3 },
    retryBudget: null,
    outlierDetection: null,
    healthCheck: CHECK,
    tls: null,
    proxyProtocol: null,
    panicThreshold: 50,
    ...parts,
  } as ServiceConfig;
}
