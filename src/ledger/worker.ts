// A worker's end of the ledger.
//
// Every `nowMs` in the ledger is the monotonic clock that all threads of the process share
// (base's Clock.nowMs; performance.now() starts anew in each worker), in ms. It may carry a fraction
// and may be a coarse reading cached per event-loop turn, never a wrapped one. Moments are kept as 32-bit ms and
// compared wrap-safe, within 24 days.
import { type Clock, invariant, systemClock } from '../base/index.ts';
import { AdaptiveTable } from './adaptive.ts';
import { RetryBudgets } from './budget.ts';
import { CallerTable } from './callers.ts';
import { ConnectionSlots } from './connections.ts';
import { EndpointTable } from './endpoints.ts';
import { ServiceGauges } from './gauges.ts';
import { HedgeCredit } from './hedging.ts';
import { ACKNOWLEDGED, HEARTBEAT, Layout, type LedgerBuffers, type Memory } from './layout.ts';
import { OverloadLine } from './overload.ts';
import { RateLimitBuckets } from './rate-limits.ts';

export class WorkerLedger {
  readonly worker: number;
  readonly gauges: ServiceGauges;
  readonly connections: ConnectionSlots;
  readonly budgets: RetryBudgets;
  readonly hedges: HedgeCredit;
  readonly endpoints: EndpointTable;
  readonly rateLimits: RateLimitBuckets;
  readonly callers: CallerTable;
  readonly adaptive: AdaptiveTable;
  readonly overload: OverloadLine;
  readonly #memory: Memory;
  readonly #head: number;
  readonly #clock: Clock;

  constructor(buffers: LedgerBuffers, worker: number, clock: Clock, random: () => number) {
    invariant(worker >= 0 && worker < buffers.workers, `worker ${worker} is one of ${buffers.workers}`);
    const layout = new Layout(buffers);
    const memory = new Int32Array(buffers.memory);
    this.worker = worker;
    this.gauges = new ServiceGauges(memory, layout, worker);
    this.connections = new ConnectionSlots(memory, layout, worker, this.gauges);
    this.budgets = new RetryBudgets(memory, layout, worker);
    this.hedges = new HedgeCredit(memory, layout);
    this.endpoints = new EndpointTable(memory, layout, worker, random);
    this.rateLimits = new RateLimitBuckets(memory, layout, worker);
    this.callers = new CallerTable(buffers.callers, worker);
    this.adaptive = new AdaptiveTable(memory, layout, worker);
    this.overload = new OverloadLine(memory, layout, worker);
    this.#memory = memory;
    this.#head = layout.worker(worker);
    this.#clock = clock;
  }

  /** The clock that every `nowMs` here is read from. */
  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Shows the watchdog that the event loop turns; call every LIMITS.heartbeatMs. */
  beat(nowMs: number): void {
    Atomics.store(this.#memory, this.#head + HEARTBEAT, nowMs | 0);
    this.connections.tick();
  }

  /** States that nothing in this worker starts work on a snapshot older than `version` (0 to 2^31 - 1). */
  acknowledge(version: number): void {
    Atomics.store(this.#memory, this.#head + ACKNOWLEDGED, version);
  }
}

/** Attaches a worker to the ledger whose `buffers` came in its workerData. Once per worker. `random`: as createLedger's. */
export function attachLedger(
  buffers: LedgerBuffers,
  worker: number,
  clock: Clock = systemClock,
  random: () => number = Math.random,
): WorkerLedger {
  return new WorkerLedger(buffers, worker, clock, random);
}
