/** What the connections of one listener share; its configuration may be replaced at any time. */
import type { Clock, Failure, TimerWheel } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import type { CounterBlock } from '../../telemetry/index.ts';
import type { Conductor } from '../exchange/index.ts';
import type { ClientLink } from './client-link.ts';

export interface ListenerContext {
  readonly config: ListenerConfig;
  readonly conductor: Conductor;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly counters: CounterBlock;
  readonly draining: boolean;
  /** Connections may go on after their answer: neither drains the listener, nor is the node overloaded. */
  readonly keepsAlive: boolean;
  /** The node is overloaded: connections are ended as soon as their protocol allows. */
  readonly sparing: boolean;
  /** As configured, or less under overload; 0: off. */
  readonly idleTimeoutMs: number;
  onClosed(link: ClientLink): void;
  /** The connection ends by its caller's fault, which counts against the caller. Returns `why`. */
  offence(link: ClientLink, why: Failure): Failure;
}
