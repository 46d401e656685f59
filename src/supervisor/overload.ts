/**
 * The supervisor's part in meeting overload: it measures what the node shares (memory, descriptors), shows it to the workers in
 * the ledger, and tells people what each worker makes of it. What is done about it each worker decides alone (src/worker/overload.ts).
 */
import { totalmem } from 'node:os';
import type { OverloadActionView, OverloadResourceView, OverloadView } from '../admin/index.ts';
import { type Clock, descriptorsMax, descriptorsOpen } from '../base/index.ts';
import type { OverloadManagerConfig } from '../config/index.ts';
import type { PrometheusExporter } from '../controlplane/export/index.ts';
import {
  type NodeResource,
  OVERLOAD_ACTIONS,
  type OverloadAction,
  type OverloadAdmin,
  WORKER_RESOURCES,
  type WorkerResource,
} from '../ledger/index.ts';
import type { Logger } from './logger.ts';

/** An action that is not taken for so long is over: between two peaks it is one event, and one line in the log. */
const OVER_MS = 2_000;

/** Envoy's names, in its metrics; the last is not Envoy's. */
const ENVOY_NAMES: Readonly<Record<OverloadAction, string>> = {
  shrinkHeap: 'shrink_heap',
  reduceTimeouts: 'reduce_timeouts',
  disableHttpKeepalive: 'disable_http_keepalive',
  stopAcceptingRequests: 'stop_accepting_requests',
  rejectIncomingConnections: 'reject_incoming_connections',
  stopAcceptingConnections: 'stop_accepting_connections',
  resetAcceptQueue: 'reset_accept_queue',
};

const ACTIONS = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];
const OWN = Object.keys(WORKER_RESOURCES) as WorkerResource[];

/** What is used of a resource, and what there is of it; Infinity: no limit is known. */
export interface Measure {
  readonly used: number;
  readonly max: number;
}

export interface OverloadKeeperOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ledger: OverloadAdmin;
  /** Index of each worker that runs, and its column in the ledger. */
  workers(): readonly { readonly index: number; readonly column: number }[];
  /** Memory should be given back; now and then while some worker shrinks its heap. */
  onShrink(): void;
  /** Measures the node; tests give another. `configuredMax`: null where none is. */
  readonly measure?: Readonly<Record<NodeResource, (configuredMax: number | null) => Measure>>;
}

interface Event {
  /** When it was last taken. */
  seenMs: number;
  readonly beganMs: number;
  highest: number;
}

export class OverloadKeeper {
  private readonly options: OverloadKeeperOptions;
  private readonly measure: Readonly<Record<NodeResource, (configuredMax: number | null) => Measure>>;
  private config: OverloadManagerConfig | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly measured: Partial<Record<NodeResource, Measure>> = {};
  /** Actions that are taken, by worker and name. */
  private readonly events = new Map<string, Event>();

  constructor(options: OverloadKeeperOptions) {
    this.options = options;
    this.measure = options.measure ?? { memory: memoryOf, descriptors: descriptorsOf };
  }

  /** With every snapshot in force; null: nothing is watched. */
  configure(config: OverloadManagerConfig | null): void {
    if (JSON.stringify(config) === JSON.stringify(this.config)) return;
    this.stop();
    this.config = config;
    if (config === null) return;
    this.refresh();
    if (this.measured.memory?.max === Number.POSITIVE_INFINITY)
      this.options.logger.warn(
        {},
        'overloadManager: memory has no limit to be measured against; set resourceMonitors.memory.maxMemoryBytes, or a limit of the container',
      );
    this.timer = setInterval(() => this.refresh(), config.refreshIntervalMs).unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    for (const resource of ['memory', 'descriptors'] as const) {
      delete this.measured[resource];
      this.options.ledger.setPressure(resource, 0);
    }
  }

  /** Measures, and looks at what the workers do. */
  refresh(): void {
    const { memory, descriptors } = (this.config as OverloadManagerConfig).monitors;
    if (memory !== null) this.take('memory', memory.maxBytes);
    if (descriptors !== null) this.take('descriptors', descriptors.max);
    this.tell();
  }

  view(): OverloadView {
    const { ledger } = this.options;
    return {
      enabled: this.config !== null,
      resources: (Object.entries(this.measured) as [NodeResource, Measure][]).map(
        ([name, { used, max }]): OverloadResourceView => ({
          name,
          pressure: round(ledger.pressure(name)),
          used,
          max: Number.isFinite(max) ? max : null,
        }),
      ),
      workers: this.options.workers().map(({ index, column }) => ({
        index,
        pressure: {
          heap: round(ledger.workerPressure(column, 'heap')),
          eventLoop: round(ledger.workerPressure(column, 'eventLoop')),
          acceptQueue: round(ledger.workerPressure(column, 'acceptQueue')),
        },
        actions: ACTIONS.map(
          (name): OverloadActionView => ({ name, state: round(ledger.action(column, name)) }),
        ),
      })),
    };
  }

  /** What is done now, one line each; empty: nothing. */
  reasons(): string[] {
    return this.view().workers.flatMap(({ index, actions }) =>
      actions
        .filter(({ state }) => state > 0)
        .map(({ name, state }) => `worker ${index}: ${name} ${Math.round(state * 100)} %`),
    );
  }

  addMetrics(prometheus: PrometheusExporter): void {
    prometheus.add(
      'gauge',
      'outboard_overload_pressure_percent',
      'Use of a resource in percent of its maximum; of the node, or of the worker.',
      () => {
        const { resources, workers } = this.view();
        if (!this.view().enabled) return [];
        return [
          ...resources.map(({ name, pressure }) => ({ value: pressure * 100, labels: { resource: name } })),
          ...workers.flatMap(({ index, pressure }) =>
            OWN.map((name) => ({
              value: pressure[name] * 100,
              labels: { resource: name, worker: String(index) },
            })),
          ),
        ];
      },
    );
    for (const action of ACTIONS) {
      const name = `envoy_overload_envoy_overload_actions_${ENVOY_NAMES[action]}`;
      const read = (value: (state: number) => number) => () =>
        this.view().workers.map(({ index, actions }) => ({
          value: value(actions.find((each) => each.name === action)?.state ?? 0),
          labels: { worker: String(index) },
        }));
      prometheus.add(
        'gauge',
        `${name}_active`,
        '1 while the overload action is taken in full.',
        read((state) => (state >= 1 ? 1 : 0)),
      );
      prometheus.add(
        'gauge',
        `${name}_scale_percent`,
        'How far the overload action is taken.',
        read((state) => Math.floor(state * 100)),
      );
    }
  }

  private take(resource: NodeResource, configuredMax: number | null): void {
    const measure = this.measure[resource](configuredMax);
    this.measured[resource] = measure;
    this.options.ledger.setPressure(resource, measure.used / measure.max);
  }

  private tell(): void {
    const nowMs = this.options.clock.nowMs();
    for (const { index, column } of this.options.workers()) {
      for (const action of ACTIONS)
        this.follow(index, action, this.options.ledger.action(column, action), nowMs);
    }
  }

  private follow(worker: number, action: OverloadAction, state: number, nowMs: number): void {
    const { logger } = this.options;
    const key = `${worker} ${action}`;
    const event = this.events.get(key);
    if (state > 0) {
      if (action === 'shrinkHeap') this.options.onShrink();
      if (event !== undefined) {
        event.seenMs = nowMs;
        event.highest = Math.max(event.highest, state);
        return;
      }
      this.events.set(key, { seenMs: nowMs, beganMs: nowMs, highest: state });
      logger.warn(
        { worker, action, state: round(state), ...this.pressures(worker) },
        'overload action begins',
      );
    } else if (event !== undefined && nowMs - event.seenMs >= OVER_MS) {
      this.events.delete(key);
      const tookMs = Math.round(event.seenMs - event.beganMs);
      logger.info({ worker, action, tookMs, highest: round(event.highest) }, 'overload action ends');
    }
  }

  private pressures(worker: number): Readonly<Record<string, number>> {
    const { resources, workers } = this.view();
    const own = workers.find(({ index }) => index === worker)?.pressure;
    return { ...Object.fromEntries(resources.map(({ name, pressure }) => [name, pressure])), ...own };
  }
}

/** RSS against the configured maximum and the container's, whichever is less. */
function memoryOf(configuredMax: number | null): Measure {
  const container = process.constrainedMemory();
  const limits = [configuredMax ?? Number.POSITIVE_INFINITY];
  // Without a limit the system states none, or one that no machine has.
  if (container > 0 && container <= totalmem()) limits.push(container);
  return { used: process.memoryUsage.rss(), max: Math.min(...limits) };
}

function descriptorsOf(configuredMax: number | null): Measure {
  return {
    used: descriptorsOpen(),
    max: Math.min(configuredMax ?? Number.POSITIVE_INFINITY, descriptorsMax()),
  };
}

function round(share: number): number {
  return Math.round(share * 1_000) / 1_000;
}
