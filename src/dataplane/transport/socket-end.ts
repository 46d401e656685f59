/**
 * The two ends of a socket whose bytes have no framing: an orderly one says that they are complete, a reset that they are
 * not. `destroy` would be neither, for what waits to be sent is lost and the peer reads an end all the same.
 */
import type { Socket } from 'node:net';

const NOTHING = Buffer.alloc(0);

/** Ends our side after everything that was written. */
export function endSocket(socket: Socket): void {
  // Later rather than now, because a socket that is being shut down can't be reset any more.
  if (socket.writableLength === 0) socket.end();
  else socket.write(NOTHING, () => socket.end());
}

/** Cuts both sides off. `raw` is the TCP socket, under TLS another than `socket`, which can't be reset; null: out of reach. */
export function resetSocket(socket: Socket, raw: Socket | null): void {
  // libuv refuses to reset what is being shut down (EINVAL), and Node then never closes it.
  const shuttingDown = socket.writableEnded && !socket.writableFinished;
  if (raw === null || shuttingDown) socket.destroy();
  else raw.resetAndDestroy();
}
