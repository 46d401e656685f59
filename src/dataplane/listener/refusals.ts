/**
 * Connections that are turned away because of their caller, as cheaply as Node can (bench/micro/callers.ts): with a reset, which
 * leaves us no TIME_WAIT. So that records cost no more than that, few are made; all are counted.
 */
import type { Socket } from 'node:net';
import { type Clock, type Failure, LIMITS } from '../../base/index.ts';
import type { ConnectionFacts } from '../../message/index.ts';
import { type CounterBlock, FAILURE_CELL } from '../../telemetry/index.ts';
import type { Conductor } from '../exchange/index.ts';

export class Refusals {
  private readonly conductor: Conductor;
  private readonly clock: Clock;
  private readonly counters: CounterBlock;
  private count = 0;
  private fromMs = Number.NEGATIVE_INFINITY;

  constructor(conductor: Conductor, clock: Clock, counters: CounterBlock) {
    this.conductor = conductor;
    this.clock = clock;
    this.counters = counters;
  }

  /** `factsOf`: asked for only where they are recorded. */
  turnAway(socket: Socket, why: Failure, factsOf: () => ConnectionFacts): void {
    const nowMs = this.clock.nowMs();
    if (nowMs >= this.fromMs + 1_000) {
      this.fromMs = nowMs;
      this.count = 0;
    }
    if (this.count++ < LIMITS.callerRefusalsPerSecond) this.conductor.connectionFailed(factsOf(), why);
    else this.counters.add(FAILURE_CELL[why.kind], 1);
    socket.resetAndDestroy();
  }
}
