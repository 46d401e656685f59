/** What meets load that is too much, in the shape of the configuration file. */
import { formatDuration } from '../base/index.ts';
import type {
  AdaptiveConcurrencyConfig,
  OverloadManagerConfig,
  OverloadTriggerConfig,
} from './overload-config.ts';

type Rendered = Readonly<Record<string, unknown>>;

export function renderAdaptiveConcurrency(config: AdaptiveConcurrencyConfig): Rendered {
  const { minRtt, minLimit } = config;
  return {
    sampleAggregatePercentile: config.percentile,
    concurrencyLimitParams: {
      maxConcurrencyLimit: config.maxLimit,
      concurrencyUpdateInterval: formatDuration(config.updateIntervalMs),
      ...(minLimit === null ? {} : { minConcurrencyLimit: minLimit }),
    },
    minRttCalcParams: {
      interval: formatDuration(minRtt.intervalMs),
      ...(minRtt.fixedMs === null ? {} : { fixedValue: formatDuration(minRtt.fixedMs) }),
      requestCount: minRtt.requestCount,
      jitter: minRtt.jitterPercent,
      minConcurrency: minRtt.minConcurrency,
      buffer: minRtt.bufferPercent,
    },
  };
}

export function renderOverloadManager(config: OverloadManagerConfig): Rendered {
  const { memory, heap, eventLoop, acceptQueue, descriptors } = config.monitors;
  return {
    refreshInterval: formatDuration(config.refreshIntervalMs),
    resourceMonitors: {
      memory: {
        enabled: memory !== null,
        ...(memory === null || memory.maxBytes === null ? {} : { maxMemoryBytes: memory.maxBytes }),
      },
      heap: { enabled: heap },
      eventLoop: {
        enabled: eventLoop !== null,
        ...(eventLoop === null ? {} : { maxDelay: formatDuration(eventLoop.maxDelayMs) }),
      },
      acceptQueue: {
        enabled: acceptQueue !== null,
        ...(acceptQueue === null ? {} : { maxWait: formatDuration(acceptQueue.maxWaitMs) }),
      },
      descriptors: {
        enabled: descriptors !== null,
        ...(descriptors === null || descriptors.max === null ? {} : { max: descriptors.max }),
      },
    },
    actions: Object.fromEntries(
      Object.entries(config.actions).map(([name, triggers]) => [name, triggers.map(trigger)]),
    ),
    minIdleTimeout: formatDuration(config.minIdleTimeoutMs),
  };
}

function trigger({ resource, scaling, saturation }: OverloadTriggerConfig): Rendered {
  if (scaling === saturation) return { name: resource, threshold: percentOf(scaling) };
  return {
    name: resource,
    scaled: { scalingThreshold: percentOf(scaling), saturationThreshold: percentOf(saturation) },
  };
}

/** Without what binary fractions leave behind. */
function percentOf(share: number): number {
  return Number((share * 100).toPrecision(12));
}
