/** How load that is too much is met: the limit that a service finds by itself, and the steps of the overload manager. */

/** Envoy's gradient controller; percentages are 0 to 100. */
export interface AdaptiveConcurrencyConfig {
  /** Which latency of a window stands for all of them. */
  readonly percentile: number;
  /** Length of a window. */
  readonly updateIntervalMs: number;
  readonly maxLimit: number;
  /** Null: `minRtt.minConcurrency`, which then is the limit while minRTT is measured as well. */
  readonly minLimit: number | null;
  readonly minRtt: {
    readonly intervalMs: number;
    readonly requestCount: number;
    readonly jitterPercent: number;
    readonly minConcurrency: number;
    readonly bufferPercent: number;
    /** In place of measuring; null: it is measured. */
    readonly fixedMs: number | null;
  };
}

/** The first is what is refused first. */
export type RequestPriority = 'low' | 'default' | 'high';

export interface OverloadManagerConfig {
  /** Between two looks at every resource. */
  readonly refreshIntervalMs: number;
  /** What each resource is measured against; null: it is not watched. */
  readonly monitors: {
    /** Null: the limit of the container; without one there is no pressure. */
    readonly memory: { readonly maxBytes: number | null } | null;
    /** Against V8's own limit. */
    readonly heap: boolean;
    readonly eventLoop: { readonly maxDelayMs: number } | null;
    readonly acceptQueue: { readonly maxWaitMs: number } | null;
    /** Null: the limit of the process (RLIMIT_NOFILE). */
    readonly descriptors: { readonly max: number | null } | null;
  };
  readonly actions: OverloadActionsConfig;
  /** What `reduceTimeouts` brings idle timeouts of clients down to. */
  readonly minIdleTimeoutMs: number;
}

/** An action without triggers is never taken. */
export interface OverloadActionsConfig {
  readonly shrinkHeap: readonly OverloadTriggerConfig[];
  readonly reduceTimeouts: readonly OverloadTriggerConfig[];
  readonly disableHttpKeepalive: readonly OverloadTriggerConfig[];
  readonly stopAcceptingRequests: readonly OverloadTriggerConfig[];
  readonly rejectIncomingConnections: readonly OverloadTriggerConfig[];
  readonly stopAcceptingConnections: readonly OverloadTriggerConfig[];
  readonly resetAcceptQueue: readonly OverloadTriggerConfig[];
}

/** The state of its action is 0 up to `scaling`, 1 from `saturation` on, and rises evenly in between. */
export interface OverloadTriggerConfig {
  readonly resource: 'memory' | 'heap' | 'eventLoop' | 'acceptQueue' | 'descriptors';
  /** Shares of the resource, 0 to 1. The same twice: a threshold. */
  readonly scaling: number;
  readonly saturation: number;
}
