/**
 * A socket whose bytes pass unread, half-closes and resets included. A reset says what a FIN would hide: that what came
 * is not all there was. TLS has no such word here (Node resets plain sockets only): a connection that ends without
 * close_notify says the same (RFC 8446 section 6.1).
 */
import type { Socket } from 'node:net';
import type { ByteHandler, ByteStream } from '../../message/index.ts';
import { endSocket, resetSocket } from './socket-end.ts';
import type { SocketOut } from './socket-out.ts';

export class ByteSocket implements ByteStream {
  /** Null: nobody listens any more. */
  handler: ByteHandler | null = null;
  private peerEnded = false;
  private readonly socket: Socket;
  private readonly raw: Socket | null;
  private readonly out: SocketOut;
  private ending = false;

  /** `raw`: the TCP socket, under TLS another than `socket`; null: out of reach. */
  constructor(socket: Socket, raw: Socket | null, out: SocketOut) {
    this.socket = socket;
    this.raw = raw;
    this.out = out;
  }

  write(chunk: Buffer): boolean {
    return this.out.writeBytes(chunk);
  }

  end(): void {
    if (this.ending) return;
    this.ending = true;
    this.out.flush();
    endSocket(this.socket);
  }

  reset(): void {
    this.handler = null;
    resetSocket(this.socket, this.raw);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  // What the socket brings.

  /** `bytes[0, length)` are valid only during the call. */
  onBytes(bytes: Buffer, length: number): void {
    if (length > 0) this.handler?.onBytes(length === bytes.length ? bytes : bytes.subarray(0, length));
  }

  onDrain(): void {
    this.handler?.onWritable();
  }

  onPeerEnd(): void {
    this.peerEnded = true;
    this.handler?.onEnd();
  }

  /** The descriptor is closed. */
  onClose(): void {
    const { handler, socket } = this;
    this.handler = null;
    if (handler === null) return;
    const orderly = this.peerEnded && socket.writableFinished && socket.errored === null;
    handler.onClosed(orderly ? '' : (socket.errored?.message ?? 'closed'));
  }
}
