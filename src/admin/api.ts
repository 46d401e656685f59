/**
 * What the admin server may ask of the process, and do to it. The supervisor implements it; the
 * admin room knows nothing of workers, ledger or stores, so every endpoint can be tested with a plain object.
 * Times in views are ISO 8601, durations are milliseconds. No view holds a key.
 */
import type { LogLevel } from '../channel/index.ts';

export interface AdminApi {
  readiness(): Readiness;
  /** The Prometheus text exposition, with its content type. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
  config(): ConfigView;
  clusters(): readonly ClusterView[];
  rateLimits(): readonly RateLimitView[];
  /** Those with most connections first. */
  callers(): readonly CallerView[];
  /** Newest first. */
  traces(query: TraceQuery): TraceView;
  /** Decision records of one request, or the newest ones; plain data. */
  decisions(query: { readonly requestId: string | null; readonly limit: number }): readonly unknown[];
  overload(): OverloadView;
  workers(): readonly WorkerView[];
  /** Starts a successor, then drains and ends the worker. Resolves when the successor serves. */
  restartWorker(index: number): Promise<void>;
  /** Ends the worker at once, as a crash would; requests in flight on it are lost, and another takes its place. */
  killWorker(index: number): void;
  /** Not ready from now on; requests in flight end. The process stays until it is told to end. */
  drain(): void;
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel): void;
  /** A `.cpuprofile` document of one worker, or of the supervisor. */
  cpuProfile(target: number | 'supervisor', durationMs: number): Promise<string>;
}

export interface Readiness {
  readonly ready: boolean;
  /** `degraded`: was ready; a worker is missing. `overloaded`: is ready, and does without something; see `/overload`. */
  readonly state: 'starting' | 'ready' | 'overloaded' | 'draining' | 'degraded';
  /** Why not, or what it does without, one line each; empty when all is well. */
  readonly reasons: readonly string[];
}

export interface ConfigView {
  readonly source: {
    readonly file: string;
    /** Version in force; 0: none yet. */
    readonly version: number;
    readonly lastGoodAt: string | null;
    /** Why the newest configuration was refused; null: it is in force. */
    readonly lastError: string | null;
    /** Configurations refused since start. */
    readonly rejected: number;
  };
  /** The configuration in force, defaults included; null before the first. */
  readonly config: unknown;
}

export interface ClusterView {
  readonly name: string;
  readonly circuitBreaker: {
    readonly connections: GaugeView;
    readonly pending: GaugeView;
    readonly requests: GaugeView;
    /** Limited only where the retry budget is off: null limit otherwise. */
    readonly retries: GaugeView;
  };
  /** Retries refused because the budget was empty; null: the budget is off. */
  readonly retryBudgetExhausted: number | null;
  /**
   * Of the last interval, in percent, over answers and over attempts to get one. Null inside: too few endpoints had
   * enough requests; null: the service has no outlier detection.
   */
  readonly successRates: {
    readonly external: SuccessRateView | null;
    readonly localOrigin: SuccessRateView | null;
  } | null;
  /** The limit that the service found, and what it found it from; null: off. */
  readonly adaptiveConcurrency: {
    readonly limit: number;
    readonly outstanding: number;
    /** Requests refused. */
    readonly blocked: number;
    readonly measuringMinRtt: boolean;
    /** 0: not measured yet. */
    readonly minRttMs: number;
    readonly sampleRttMs: number;
  } | null;
  readonly endpoints: readonly EndpointView[];
}

export interface RateLimitView {
  /** Where it stands, and its name: `routes/shop/0/per-user`. */
  readonly id: string;
  readonly requests: number;
  readonly intervalMs: number;
  readonly burst: number;
  /** Whole tokens left; of a limit with keys, those of the bucket that keys without room share. */
  readonly remaining: number;
  /** Keys whose bucket is not full; null: it has none. */
  readonly keys: number | null;
}

export interface SuccessRateView {
  readonly average: number;
  /** An endpoint below it is ejected. */
  readonly threshold: number;
}

export interface GaugeView {
  readonly active: number;
  readonly limit: number | null;
  readonly highWaterMark: number;
  /** Times the gauge reached its limit. */
  readonly opened: number;
  /** Requests refused because it was full. */
  readonly overflow: number;
}

export interface EndpointView {
  /** `address:port`. */
  readonly address: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: {
    readonly region: string;
    readonly zone: string;
    readonly subZone: string;
  } | null;
  readonly labels: Readonly<Record<string, string>> | null;
  /** As peak-ewma sees it, at its last answer, in ms; null: another policy, or no answer yet. */
  readonly latencyMs: number | null;
  /** By active checks; `unchecked`: the service has none; `pending`: the first has not ended. */
  readonly health: 'healthy' | 'unhealthy' | 'pending' | 'unchecked';
  /** Its last check that passed said so; it gets requests only while the healthy ones do not suffice. */
  readonly degraded: boolean;
  readonly outlier: 'healthy' | 'ejected' | 'probing';
  readonly ejectedUntil: string | null;
  /** Ejections that count for the length of the next one. */
  readonly ejections: number;
  /** What the detector found that was the last to find it out; null: none has. */
  readonly lastDetection: {
    readonly detector: string;
    readonly observed: number;
    readonly threshold: number;
  } | null;
  /** Of the last interval, in percent; null: it had too few requests. */
  readonly successRate: number | null;
  readonly localOriginSuccessRate: number | null;
  readonly activeRequests: number;
  readonly consecutive: {
    readonly errors5xx: number;
    readonly gatewayErrors: number;
    readonly localOriginFailures: number;
  };
  readonly lastCheck: { readonly at: string; readonly result: string } | null;
}

export interface CallerView {
  /** Source address of its connections; of public IPv6 a network. */
  readonly address: string;
  readonly connections: number;
  readonly requests: number;
  /** Of answers that it has not read, of uploads that endpoints have not taken, and kept for retries. */
  readonly bufferedBytes: number;
  /** Until when new connections are refused for its offences; null: they are not. */
  readonly penaltyUntil: string | null;
  /** From here on since it was first seen, or last forgotten. */
  readonly connectionsTotal: number;
  readonly offences: number;
  readonly penalties: number;
  readonly refusedConnections: number;
  readonly refusedRequests: number;
}

export interface TraceQuery {
  readonly traceId: string | null;
  readonly limit: number;
}

export interface TraceView {
  /** Plain data, one member per trace. */
  readonly traces: readonly unknown[];
  /** The same as indented trees. */
  text(): string;
}

export interface OverloadView {
  /** The configuration has an overload manager. */
  readonly enabled: boolean;
  /** What the node shares. */
  readonly resources: readonly OverloadResourceView[];
  readonly workers: readonly {
    readonly index: number;
    /** Of what is the worker's own; 1 is its maximum. */
    readonly pressure: { readonly heap: number; readonly eventLoop: number; readonly acceptQueue: number };
    readonly actions: readonly OverloadActionView[];
  }[];
}

export interface OverloadResourceView {
  readonly name: string;
  /** Used share, 0 to 1 and above. */
  readonly pressure: number;
  /** Bytes, or descriptors. */
  readonly used: number;
  /** Null: no limit is known, so there is no pressure. */
  readonly max: number | null;
}

export interface OverloadActionView {
  readonly name: string;
  /** From 0, not taken, to 1, taken in full. */
  readonly state: number;
}

export interface WorkerView {
  readonly index: number;
  readonly state: 'starting' | 'ready' | 'degraded' | 'draining' | 'restarting' | 'stopped';
  /** Snapshot version in force on it. */
  readonly version: number;
  readonly startedAt: string | null;
  readonly uptimeMs: number | null;
  /** Milliseconds since its last heartbeat; null: none yet. */
  readonly heartbeatAgeMs: number | null;
  /** Unplanned ends since start. */
  readonly crashes: number;
  readonly lastExit: string | null;
  /** Share of the last seconds that its event loop was busy, 0 to 1. */
  readonly utilization: number | null;
}
