/**
 * Cuts a client's connection off by a reset, because an orderly close would pass for the end of an answer that is
 * delimited by it. `raw` is the TCP socket, under TLS another than `socket`: a TLSSocket can't be reset.
 */
import type { Socket } from 'node:net';

export function reset(socket: Socket, raw: Socket): void {
  // libuv refuses to reset what is being shut down (EINVAL), and Node then never closes it.
  if (socket.writableEnded) socket.destroy();
  else raw.resetAndDestroy();
}
