/** A service of endpoints with given weights, and a ledger's view of them that a test sets by hand. */
import type { ConsistentHashConfig, ServiceConfig } from '../../src/config/index.ts';
import type { EndpointView, Picker, PickState } from '../../src/dataplane/balancer/index.ts';
import { AVAILABLE, type Availability, NOT_ADMITTED } from '../../src/ledger/index.ts';

/** Slots start here, so that a test notices where an index is taken for a slot. */
export const FIRST_SLOT = 100;

export function service(
  policy: ServiceConfig['loadBalancer']['policy'],
  weights: readonly number[],
  panicThreshold = 0,
  consistentHash: ConsistentHashConfig | null = null,
): ServiceConfig {
  return {
    name: 's',
    slot: 0,
    protocol: 'auto',
    adaptiveConcurrency: null,
    dns: null,
    endpoints: weights.map((weight, index) => ({
      address: '127.0.0.1',
      port: 9_000 + index,
      weight,
      ...PLAIN,
      slot: FIRST_SLOT + index,
    })),
    loadBalancer: {
      policy,
      consistentHash,
      peakEwma: policy === 'peak-ewma' ? { defaultRttMs: 30, decayMs: 10_000 } : null,
      slowStart: null,
      overprovisioningFactor: 140,
      locality: null,
    },
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 60_000,
    maxConnectionAgeMs: 0,
    http2: { maxConcurrentStreams: 100, keepaliveIntervalMs: 0, keepaliveTimeoutMs: 5_000 },
    circuitBreaker: { maxConnections: 1_024, maxPendingRequests: 1_024, maxRequests: 1_024, maxRetries: 3 },
    retryBudget: null,
    outlierDetection: null,
    healthCheck: null,
    tls: null,
    subsets: [],
    subsetFallback: 'none',
    defaultSubset: null,
    sessionPersistence: null,
    proxyProtocol: null,
    panicThreshold,
    rateLimits: [],
  };
}

/** What an endpoint says of itself by default. */
export const PLAIN = { priority: 0, locality: null, labels: null } as const;

/** By endpoint index; an even ticket is a plain one, an odd one a probe, as the ledger's are. */
export class FakeView implements EndpointView {
  readonly available: Availability[];
  readonly load: number[];
  /** Milliseconds since it came into use, and its latency. */
  readonly inUseMs: number[];
  readonly latency: number[];
  admissions = 0;
  panicAdmissions = 0;

  constructor(size: number) {
    this.available = new Array<Availability>(size).fill(AVAILABLE.yes);
    this.load = new Array<number>(size).fill(0);
    this.inUseMs = new Array<number>(size).fill(Number.POSITIVE_INFINITY);
    this.latency = new Array<number>(size).fill(30);
  }

  availability(slot: number): Availability {
    return this.available[slot - FIRST_SLOT] as Availability;
  }

  admit(slot: number): number {
    this.admissions++;
    const available = this.availability(slot);
    if (available === AVAILABLE.no) return NOT_ADMITTED;
    if (available !== AVAILABLE.probe) return 2;
    this.available[slot - FIRST_SLOT] = AVAILABLE.no;
    return 3;
  }

  admitInPanic(): number {
    this.panicAdmissions++;
    return 4;
  }

  inUseForMs(slot: number): number {
    return this.inUseMs[slot - FIRST_SLOT] as number;
  }

  latencyMs(slot: number): number {
    return this.latency[slot - FIRST_SLOT] as number;
  }

  active(slot: number): number {
    return this.load[slot - FIRST_SLOT] as number;
  }
}

/** How often each index was picked; -1 is not counted. */
export function picks(
  picker: Picker,
  state: PickState,
  times: number,
  size: number,
  tried: readonly number[] = [],
): number[] {
  const counts = new Array<number>(size).fill(0);
  for (let i = 0; i < times; i++) {
    const index = picker.pick(state, 0, tried);
    if (index >= 0) counts[index] = (counts[index] as number) + 1;
  }
  return counts;
}

/** Pearson's statistic against the expected shares; around the number of endpoints when they are right. */
export function chiSquare(counts: readonly number[], shares: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const whole = shares.reduce((sum, share) => sum + share, 0);
  return counts.reduce((sum, count, i) => {
    const expected = (total * (shares[i] as number)) / whole;
    return expected === 0
      ? sum + (count === 0 ? 0 : Number.POSITIVE_INFINITY)
      : sum + (count - expected) ** 2 / expected;
  }, 0);
}
