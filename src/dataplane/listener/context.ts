/** What the connections of one listener share; its configuration may be replaced at any time. */
import type { TimerWheel } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import type { Conductor } from '../exchange/index.ts';
import type { Http1Connection } from './http1-connection.ts';

export interface ListenerContext {
  readonly config: ListenerConfig;
  readonly conductor: Conductor;
  readonly wheel: TimerWheel;
  readonly draining: boolean;
  onConnectionClosed(connection: Http1Connection): void;
}
