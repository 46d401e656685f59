/**
 * A worker's own overload manager: every refresh it measures what is its own (heap, event loop), reads what the supervisor
 * measured for the node (memory, descriptors), works out what to do, and shows it in the ledger. So a worker that is late sheds
 * its own load, and nobody has to be asked while the supervisor is busy.
 */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { type Clock, collectGarbage, LIMITS } from '../base/index.ts';
import type { OverloadManagerConfig } from '../config/index.ts';
import { Overload } from '../dataplane/policy/index.ts';
import { OVERLOAD_ACTIONS, type OverloadAction, type OverloadLine } from '../ledger/index.ts';

/** Between two readings of the event loop's delay, in ms. */
const RESOLUTION_MS = 10;
/** How much of a new delay counts at once: a collection of garbage stops the loop for a moment, and is no overload. */
const SMOOTHING = 0.3;
const NANOSECONDS = 1e6;
/** An event loop that waited for events longer than this share of the time has accepted whoever came: nobody need be asked. */
const IDLE_SHARE = 0.05;

const ACTIONS = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];

/** What of a listener overload concerns. */
export interface OverloadedListener {
  /**
   * How long a connection that comes now will wait, by the pace of the last `sinceMs`, which were so many turns of an event loop
   * without rest; 0: not known. Once a refresh.
   */
  acceptWaitMs(sinceMs: number, turns: number): number;
  /** Does what overload asks. */
  meetOverload(): void;
}

export class WorkerOverload {
  readonly overload: Overload;
  readonly config: OverloadManagerConfig;
  private readonly line: OverloadLine;
  private readonly clock: Clock;
  private readonly listeners: () => Iterable<OverloadedListener>;
  private usage: EventLoopUtilization;
  private turns: number;
  private refreshedMs: number;
  private lastWaitMs = 0;
  private readonly timer: NodeJS.Timeout;
  private readonly delay: ReturnType<typeof monitorEventLoopDelay> | null;
  private loopPressure = 0;
  private collectedMs = Number.NEGATIVE_INFINITY;

  /** `listeners`: those that are open now. Stop it. */
  constructor(
    config: OverloadManagerConfig,
    line: OverloadLine,
    clock: Clock,
    listeners: () => Iterable<OverloadedListener>,
  ) {
    this.config = config;
    this.line = line;
    this.clock = clock;
    this.listeners = listeners;
    this.usage = performance.eventLoopUtilization();
    this.turns = loopTurns();
    this.refreshedMs = clock.nowMs();
    this.overload = new Overload(config);
    this.delay =
      config.monitors.eventLoop === null ? null : monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.delay?.enable();
    this.timer = setInterval(() => this.refresh(), config.refreshIntervalMs);
  }

  /** Nothing is watched any more, and nothing shown. */
  stop(): void {
    clearInterval(this.timer);
    this.delay?.disable();
    for (const action of ACTIONS) this.line.showAction(action, 0);
    this.line.showPressure('heap', 0);
    this.line.showPressure('eventLoop', 0);
    this.line.showPressure('acceptQueue', 0);
  }

  private refresh(): void {
    const { line, overload, config } = this;
    const { memory, descriptors } = config.monitors;
    const heap = config.monitors.heap ? heapPressure() : 0;
    const eventLoop = this.loopDelay();
    const acceptQueue = this.acceptWait();
    overload.update({
      memory: memory === null ? 0 : line.pressure('memory'),
      descriptors: descriptors === null ? 0 : line.pressure('descriptors'),
      heap,
      eventLoop,
      acceptQueue,
    });
    line.showPressure('acceptQueue', acceptQueue);
    line.showPressure('heap', heap);
    line.showPressure('eventLoop', eventLoop);
    for (const action of ACTIONS) line.showAction(action, overload.state(action));
    for (const listener of this.listeners()) listener.meetOverload();
    if (overload.state('shrinkHeap') > 0) this.shrinkHeap();
  }

  private loopDelay(): number {
    const { delay } = this;
    const { eventLoop } = this.config.monitors;
    if (delay === null || eventLoop === null) return 0;
    // No reading at all: it was enabled just now. Time spent in a turn counts by its length: means, not percentiles.
    const meanMs = delay.count === 0 ? RESOLUTION_MS : delay.mean / NANOSECONDS;
    delay.reset();
    const pressure = Math.max(0, meanMs - RESOLUTION_MS) / eventLoop.maxDelayMs;
    this.loopPressure += SMOOTHING * (pressure - this.loopPressure);
    return this.loopPressure;
  }

  /** The shorter of the last two: one that has just come is no queue yet. */
  private acceptWait(): number {
    const { acceptQueue } = this.config.monitors;
    if (acceptQueue === null) return 0;
    const nowMs = this.clock.nowMs();
    const sinceMs = nowMs - this.refreshedMs;
    this.refreshedMs = nowMs;
    const turns = this.turnsWithoutRest();
    let waitMs = 0;
    for (const listener of this.listeners()) waitMs = Math.max(waitMs, listener.acceptWaitMs(sinceMs, turns));
    const shorter = Math.min(waitMs, this.lastWaitMs);
    this.lastWaitMs = waitMs;
    return shorter / acceptQueue.maxWaitMs;
  }

  /** Since the last refresh; Infinity: the loop had nothing to do in between. */
  private turnsWithoutRest(): number {
    const turns = loopTurns() - this.turns;
    this.turns += turns;
    const usage = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(usage, this.usage);
    this.usage = usage;
    return utilization < 1 - IDLE_SHARE ? Number.POSITIVE_INFINITY : turns;
  }

  private shrinkHeap(): void {
    const nowMs = this.clock.nowMs();
    if (nowMs - this.collectedMs < LIMITS.overloadCollectMs) return;
    this.collectedMs = nowMs;
    collectGarbage('regular');
  }
}

/** 0 where Node does not count them (before 20.18). */
function loopTurns(): number {
  return performance.nodeTiming.uvMetricsInfo?.loopCount ?? 0;
}

function heapPressure(): number {
  const { used_heap_size, heap_size_limit } = getHeapStatistics();
  return used_heap_size / heap_size_limit;
}
