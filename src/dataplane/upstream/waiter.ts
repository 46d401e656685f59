/** Who waits for a connection to an endpoint. */
import type { Failure } from '../../base/index.ts';
import type { EndpointConfig } from '../../config/index.ts';
import type { ConnectionFacts } from '../../message/index.ts';
import type { AttemptStream } from './connection.ts';
import type { TcpUpstreamConnection } from './tcp-connection.ts';

/** A request that needs a connection. */
export interface ConnectionWaiter {
  /** Whose request it is: whose turn it takes (`WaitQueue`), and what a PROXY header says. */
  readonly client: ConnectionFacts;
  /** The chosen endpoint. */
  readonly endpoint: EndpointConfig;
  /** May it be given a connection to this other endpoint of the service? */
  accepts(endpointSlot: number): boolean;
  /** The stream is this waiter's alone. */
  onConnection(stream: AttemptStream): void;
  onConnectFailed(why: Failure): void;
  /** It has to make room for a request of another caller, who has fewer. */
  onDisplaced(why: Failure): void;
}

/** What passes bytes, and needs a new connection for itself, whatever the service speaks. */
export interface TcpWaiter {
  /** Whose bytes they are. */
  readonly client: ConnectionFacts;
  /** The chosen endpoint. */
  readonly endpoint: EndpointConfig;
  /** Never from inside `checkout`. */
  onTcpConnection(connection: TcpUpstreamConnection): void;
  onConnectFailed(why: Failure): void;
  /** As of a request. */
  onDisplaced(why: Failure): void;
}

export type Waiter = ConnectionWaiter | TcpWaiter;

export function isTcp(waiter: Waiter): waiter is TcpWaiter {
  return 'onTcpConnection' in waiter;
}
