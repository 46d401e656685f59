/** What is known of a connection when it is accepted. */
import type { Socket } from 'node:net';
import type { ConnectionFacts } from '../../message/index.ts';

/** `caller`: see Callers.enter. */
export function factsOf(socket: Socket, listener: string, caller: number): ConnectionFacts {
  return {
    listener,
    remoteAddress: socket.remoteAddress ?? '',
    caller,
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
    tls: null,
  };
}
