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
  onClosed(link: ClientLink): void;
  /** The connection ends by its caller's fault, which counts against the caller. Returns `why`. */
  offence(link: ClientLink, why: Failure): Failure;
}
