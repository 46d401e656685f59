/**
 * The gRPC backend: sends every message back as it comes, over HTTP/2 in plain; 200 before the first, trailers with
 * `grpc-status: 0` when the caller has ended its side. So it serves unary calls and streams alike, and looks at no
 * header. Argument: PORT[,PORT…].
 */
import { createServer } from 'node:net';
import { beginHeaders, endHeaders, FRAME_BYTES_DEFAULT } from '../../src/dataplane/codec/http2/index.ts';
import { FrameConnection } from './frame-connection.ts';

class EchoConnection extends FrameConnection {
  /** Streams whose answer has begun. */
  private readonly begun = new Set<number>();

  onHeaders(streamId: number, endStream: boolean): void {
    if (endStream) this.end(streamId);
  }

  onDataBytes(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.begin(streamId);
    this.data(streamId, bytes, start, end, false);
  }

  onDataEnd(streamId: number, endStream: boolean): void {
    if (endStream) this.end(streamId);
  }

  onRstStream(streamId: number): void {
    this.begun.delete(streamId);
  }

  private begin(streamId: number): void {
    if (this.begun.has(streamId)) return;
    this.begun.add(streamId);
    const { out, encoder } = this;
    const start = beginHeaders(out);
    encoder.begin(out);
    encoder.status(200);
    encoder.field('content-type', 'application/grpc');
    encoder.end();
    endHeaders(out, start, streamId, false, FRAME_BYTES_DEFAULT);
  }

  private end(streamId: number): void {
    this.begin(streamId);
    this.begun.delete(streamId);
    const { out, encoder } = this;
    const start = beginHeaders(out);
    encoder.begin(out);
    encoder.field('grpc-status', '0');
    encoder.end();
    endHeaders(out, start, streamId, true, FRAME_BYTES_DEFAULT);
  }
}

for (const port of (process.argv[2] ?? '').split(',')) {
  createServer((socket) => void new EchoConnection(socket, 'server')).listen(Number(port), '127.0.0.1');
}
