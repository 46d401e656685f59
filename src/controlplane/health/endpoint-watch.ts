/** The checks of one endpoint: when the next one is due, and what the results so far mean. */
import { isIPv6 } from 'node:net';
import type { Clock } from '../../base/index.ts';
import type { SecretSet } from '../../config/index.ts';
import type { CheckState, EndpointCheck } from './checker.ts';
import type { HealthEvent } from './events.ts';
import type { Probe, ProbeResult, ProbeTarget } from './probe.ts';
import type { CheckQueue } from './queue.ts';
import type { Timers } from './timers.ts';

export interface WatchOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly probe: Probe;
  readonly queue: CheckQueue;
  secrets(): SecretSet;
  onVerdict(passes: boolean): void;
  onResult(): void;
  onEvent(event: HealthEvent): void;
}

/** An interval is up to a tenth longer, so that endpoints started together drift apart. */
const JITTER = 0.1;

export class EndpointWatch {
  state: CheckState = 'pending';
  stopped = false;
  private readonly options: WatchOptions;
  private target: ProbeTarget;
  /** The last check has ended and the next has not been asked for. */
  private resting = false;
  /** Results in a row that speak against `state`. */
  private against = 0;
  private checkedAtMs: number | null = null;
  private reason = '';
  /** Takes back what is under way: a place in the queue, a check, or the wait for the next one. */
  private cancel: () => void = () => {};

  constructor(target: ProbeTarget, options: WatchOptions) {
    this.target = target;
    this.options = options;
    this.enqueue();
  }

  read(): EndpointCheck {
    return { state: this.state, checkedAtMs: this.checkedAtMs, reason: this.reason };
  }

  /** The endpoint has another configuration: it holds from the next check on, which begins at once. */
  retarget(target: ProbeTarget): void {
    const changed = JSON.stringify(target) !== JSON.stringify(this.target);
    this.target = target;
    if (!changed || !this.resting) return;
    this.cancel();
    this.enqueue();
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  private enqueue(): void {
    this.resting = false;
    // A check may begin inside add(), and then says itself how it is cancelled.
    let takeBack = (): void => {};
    this.cancel = () => takeBack();
    takeBack = this.options.queue.add((done) => {
      void this.check().finally(done);
    });
  }

  private async check(): Promise<void> {
    const { timers, probe, secrets, random, clock } = this.options;
    const { target } = this;
    const abort = new AbortController();
    const cancelTimeout = timers.after(target.check.timeoutMs, () => abort.abort());
    this.cancel = () => {
      cancelTimeout();
      abort.abort();
    };
    const result = await probe(target, secrets(), abort.signal);
    cancelTimeout();
    if (this.stopped) return;
    this.checkedAtMs = clock.wallMs();
    this.reason = result.reason;
    this.judge(result);
    this.options.onResult();
    const delayMs = this.target.check.intervalMs * (1 + JITTER * random());
    this.resting = true;
    this.cancel = timers.after(delayMs, () => this.enqueue());
  }

  private judge(result: ProbeResult): void {
    const { check } = this.target;
    const verdict = result.passed ? 'healthy' : 'unhealthy';
    if (verdict === this.state) {
      this.against = 0;
      return;
    }
    this.against++;
    const needed = result.passed ? check.healthyThreshold : check.unhealthyThreshold;
    if (this.state !== 'pending' && this.against < needed) return;
    this.state = verdict;
    this.against = 0;
    this.options.onVerdict(result.passed);
    const { service, address, port } = this.target;
    const endpoint = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
    this.options.onEvent({ type: verdict, service, endpoint, reason: result.reason });
  }
}
