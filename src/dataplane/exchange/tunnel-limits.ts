/**
 * How long bytes are carried both ways, those of a TCP connection and of a tunnel that a request has become: without one
 * of them (`timeouts.tunnelIdle`), and at all (`timeouts.tunnelMax`).
 */
import { type Failure, failure, Timer, type TimerOwner, type TimerWheel } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import { noteLimit } from './attempts/admission.ts';

const IDLE = 1;
const LIFETIME = 2;

export interface TunnelOwner {
  /** A limit was reached, which the record says already. */
  onTunnelOver(why: Failure): void;
}

export class TunnelLimits implements TimerOwner {
  private readonly owner: TunnelOwner;
  private readonly wheel: TimerWheel;
  private readonly listener: ListenerConfig;
  private readonly record: RequestRecord;
  private readonly idleTimer = new Timer(this, IDLE);
  private lifeTimer: Timer | null = null;
  private ended = false;

  /** Both run from now on. */
  constructor(owner: TunnelOwner, wheel: TimerWheel, listener: ListenerConfig, record: RequestRecord) {
    this.owner = owner;
    this.wheel = wheel;
    this.listener = listener;
    this.record = record;
    this.touch();
    const { tunnelMaxMs } = listener;
    if (tunnelMaxMs === 0) return;
    this.lifeTimer = new Timer(this, LIFETIME);
    wheel.arm(this.lifeTimer, tunnelMaxMs);
  }

  /** Something has moved. */
  touch(): void {
    const { tunnelIdleTimeoutMs } = this.listener;
    if (tunnelIdleTimeoutMs > 0 && !this.ended) this.wheel.arm(this.idleTimer, tunnelIdleTimeoutMs);
  }

  /** It is over. */
  end(): void {
    this.ended = true;
    this.wheel.cancel(this.idleTimer);
    if (this.lifeTimer !== null) this.wheel.cancel(this.lifeTimer);
  }

  onTimer(tag: number): void {
    const { tunnelIdleTimeoutMs, tunnelMaxMs } = this.listener;
    if (tag === IDLE) this.over('stream-idle', 'timeouts.tunnelIdle', tunnelIdleTimeoutMs);
    else this.over('max-duration', 'timeouts.tunnelMax', tunnelMaxMs);
  }

  private over(kind: 'stream-idle' | 'max-duration', limit: string, limitMs: number): void {
    noteLimit(this.record, limit, limitMs, limitMs);
    this.owner.onTunnelOver(failure(kind, `${limitMs} ms`));
  }
}
