/**
 * Gives memory back in a thread that has come to rest. V8's young generation grows to 32 MiB under load and keeps
 * its pages until memory is short. One collection takes 15 to 20 ms, so it is done when nothing is under
 * way, nothing was for two seconds, and there is something to give.
 */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import { collectGarbage } from './collect-garbage.ts';

/** Below it a collection is not worth its time. */
const YOUNG_BYTES_MIN = 4 * 2 ** 20;
/** Looks in a row, one with every heartbeat (250 ms). */
const QUIET_LOOKS = 8;
const BUSY_SHARE = 0.02;

export class SpareMemory {
  private last: EventLoopUtilization = performance.eventLoopUtilization();
  private quietLooks = 0;

  /** With every heartbeat; `isBusy`: something is under way. */
  look(isBusy: boolean): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.last);
    this.last = now;
    this.quietLooks = isBusy || utilization > BUSY_SHARE ? 0 : this.quietLooks + 1;
    if (this.quietLooks === QUIET_LOOKS && youngBytes() > YOUNG_BYTES_MIN) collectGarbage();
  }
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
}
