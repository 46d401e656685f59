/** The checks of one endpoint: when the next one is due, and what the results so far mean. */
import { isIPv6 } from 'node:net';
import type { Clock } from '../../base/index.ts';
import type { HealthCheckConfig, SecretSet } from '../../config/index.ts';
import type { CheckCounts } from './check-counts.ts';
import type { CheckState, EndpointCheck } from './checker.ts';
import type { CheckEvent, HealthEvent, HealthState } from './events.ts';
import type { Probe, ProbeResult, ProbeTarget } from './probe.ts';
import type { CheckQueue } from './queue.ts';
import type { Timers } from './timers.ts';

export interface WatchOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly probe: Probe;
  readonly queue: CheckQueue;
  readonly counts: CheckCounts;
  secrets(): SecretSet;
  /** Whether the endpoint still passes: a worker may have been told by itself that it does not. */
  stillPasses(): boolean;
  /** Whether the service was ever called. */
  hasTraffic(): boolean;
  onVerdict(passes: boolean): void;
  onDegraded(degraded: boolean): void;
  onResult(): void;
  onEvent(event: HealthEvent): void;
}

export class EndpointWatch {
  state: CheckState = 'pending';
  stopped = false;
  private readonly options: WatchOptions;
  private target: ProbeTarget;
  /** The last check has ended and the next has not been asked for. */
  private resting = false;
  /** Results in a row that speak against `state`. */
  private against = 0;
  private degraded = false;
  private checkedAtMs: number | null = null;
  private reason = '';
  /** Takes back what is under way: a place in the queue, a check, or the wait for the next one. */
  private cancel: () => void = () => {};

  constructor(target: ProbeTarget, options: WatchOptions) {
    this.target = target;
    this.options = options;
    const delayMs = target.check.initialJitterMs * options.random();
    if (delayMs < 1) this.enqueue();
    else this.rest(delayMs);
  }

  read(): EndpointCheck {
    const { state, degraded, checkedAtMs, reason } = this;
    return { state, degraded, checkedAtMs, reason };
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
    const { timers, probe, secrets, clock, counts } = this.options;
    const { target } = this;
    const abort = new AbortController();
    const cancelTimeout = timers.after(target.check.timeoutMs, () => abort.abort());
    this.cancel = () => {
      cancelTimeout();
      abort.abort();
    };
    counts.attempt++;
    const result = await probe(target, secrets(), abort.signal);
    cancelTimeout();
    if (this.stopped) return;
    this.heedEndpoint();
    this.checkedAtMs = clock.wallMs();
    this.reason = result.reason;
    this.count(result);
    this.judge(result);
    this.options.onResult();
    this.rest(this.waitMs(this.target.check));
  }

  /** Waits for the next check. */
  private rest(delayMs: number): void {
    this.resting = true;
    this.cancel = this.options.timers.after(delayMs, () => this.enqueue());
  }

  private waitMs(check: HealthCheckConfig): number {
    const { hasTraffic, random } = this.options;
    const { intervalMs, unhealthyIntervalMs, noTrafficIntervalMs, intervalJitterMs } = check;
    const byState = this.state === 'healthy' ? intervalMs : unhealthyIntervalMs;
    const baseMs = noTrafficIntervalMs === null || hasTraffic() ? byState : noTrafficIntervalMs;
    return baseMs + intervalJitterMs * random();
  }

  /** An endpoint that has asked a worker for no more requests is unhealthy already. */
  private heedEndpoint(): void {
    if (this.state !== 'healthy' || this.options.stillPasses()) return;
    this.options.counts.failure++;
    this.options.counts.passiveFailure++;
    this.become({ passed: false, reason: IMMEDIATE_FAIL, failureType: 'PASSIVE' });
  }

  private count({ passed, failureType }: ProbeResult): void {
    const { counts } = this.options;
    if (passed) counts.success++;
    else counts.failure++;
    if (failureType === 'NETWORK' || failureType === 'NETWORK_TIMEOUT') counts.networkFailure++;
  }

  private judge(result: ProbeResult): void {
    const { check } = this.target;
    if (!result.passed && check.alwaysLogHealthCheckFailures)
      this.tell('failed a check', 'health_check_failure_event', this.state, this.state, result);
    if ((result.passed ? 'healthy' : 'unhealthy') === this.state) this.against = 0;
    else {
      this.against++;
      const needed = result.passed ? check.healthyThreshold : check.unhealthyThreshold;
      if (this.state === 'pending' || result.immediate === true || this.against >= needed)
        this.become(result);
    }
    const { degraded = false } = result;
    // As in Envoy, a check that fails says nothing of it.
    if (!result.passed || degraded === this.degraded) return;
    this.degraded = degraded;
    this.options.onDegraded(degraded);
    if (degraded) this.tell('degraded', 'degraded_healthy_host', this.state, 'degraded', result);
    else this.tell('no longer degraded', 'no_longer_degraded_host', 'degraded', this.state, result);
  }

  private become(result: ProbeResult): void {
    const from = this.state;
    this.state = result.passed ? 'healthy' : 'unhealthy';
    this.against = 0;
    this.options.onVerdict(result.passed);
    if (result.passed) this.tell('healthy', 'add_healthy_event', from, this.state, result);
    else this.tell('unhealthy', 'eject_unhealthy_event', from, this.state, result);
  }

  private tell(
    type: CheckEvent['type'],
    event: CheckEvent['event'],
    from: HealthState,
    to: HealthState,
    { reason, failureType }: ProbeResult,
  ): void {
    const { service, address, port, check } = this.target;
    this.options.onEvent({
      type,
      event,
      service,
      endpoint: isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`,
      healthCheckerType: check.tcp !== null ? 'TCP' : check.grpc !== null ? 'GRPC' : 'HTTP',
      from,
      to,
      ...(failureType === undefined ? {} : { failureType }),
      reason,
    });
  }
}

const IMMEDIATE_FAIL = 'x-envoy-immediate-health-check-fail on an answer to a request';
