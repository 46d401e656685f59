/**
 * Nanoseconds per request through two HTTP/2 sessions in memory, a client's and a server's: what a proxy spends on
 * its two connections, without sockets and without what lies between. Sixty-four requests to a write: the same
 * every time, with a path of their own, gRPC calls with metadata of their own, and messages on open streams.
 * Run: node bench/micro/http2-session.ts
 */

import { turnClock } from '../../src/base/index.ts';
import {
  type FrameOut,
  type HeaderBlock,
  type HpackEncoder,
  Http2Session,
  type Http2Stream,
  responseFault,
  type StreamHandler,
} from '../../src/dataplane/codec/http2/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import { measureBatches } from '../harness/measure.ts';
import { REQUEST_HEADERS } from '../load/headers.ts';

const BATCH = 64;
const BATCHES = 64;
const BODY = Buffer.alloc(64, 'x');
/** A gRPC message of 100 bytes with its prefix. */
const MESSAGE = Buffer.alloc(105, 'x');
const TRAILERS = HeaderList.of('grpc-status', '0');

/** The way to the other side, which reads when the pass of the event loop ends. */
class Wire implements FrameOut {
  readonly belowHighWater = true;
  reader: Http2Session | null = null;
  private readonly bytes = Buffer.allocUnsafeSlow(1 << 20);
  private length = 0;

  queued(): void {}

  put(bytes: Buffer, start: number, end: number): void {
    this.length += bytes.copy(this.bytes, this.length, start, end);
  }

  flush(): void {
    const { length, reader } = this;
    this.length = 0;
    if (reader !== null && reader.execute(this.bytes, 0, length) < 0) throw new Error(reader.error?.detail);
  }
}

/** Counts what came back, and says when a batch is complete. */
class Batch {
  private left = 0;
  private resolve: () => void = () => {};

  run(ask: () => void): Promise<void> {
    this.left = BATCH;
    for (let i = 0; i < BATCH; i++) ask();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  done(): void {
    if (--this.left === 0) this.resolve();
  }
}

class Asking implements StreamHandler {
  private readonly stream: Http2Stream;
  private readonly chatting: boolean;

  constructor(stream: Http2Stream, chatting: boolean) {
    this.stream = stream;
    this.chatting = chatting;
  }

  onBlock(block: HeaderBlock): string {
    this.stream.headSeen = true;
    this.stream.expectedBytes = block.contentLength;
    return responseFault(block);
  }

  onData(): void {
    if (this.chatting) batch.done();
  }

  onEnd(): void {
    batch.done();
  }

  onWritable(): void {}

  onReset(): void {
    throw new Error('a stream was reset');
  }
}

const batch = new Batch();
const toServer = new Wire();
const toClient = new Wire();
const server = sessionOf('server', toClient, serve);
const client = sessionOf('client', toServer, () => {});
toServer.reader = server;
toClient.reader = client;
let count = 0;

const measure = (name: string, ask: () => void): Promise<void> =>
  measureBatches(name, BATCH, BATCHES, () => batch.run(ask));

await measure('GET, always the same', () => void open(true, (encoder) => writeGet(encoder, '/64')));
await measure(
  'GET, a path of its own',
  () => void open(true, (encoder) => writeGet(encoder, `/64?${++count}`)),
);
await measure('gRPC call, metadata of its own', () => {
  const stream = open(false, (encoder) => writeCall(encoder, ++count, true));
  client.out.data(stream, MESSAGE);
  client.out.finish(stream, null);
});
await measure('the same without a field that the encoder does not know to change', () => {
  const stream = open(false, (encoder) => writeCall(encoder, ++count, false));
  client.out.data(stream, MESSAGE);
  client.out.finish(stream, null);
});
const streams = Array.from({ length: BATCH }, () =>
  open(false, (encoder) => writeCall(encoder, 0, false), true),
);
await measure('message there and back on an open stream', () => {
  client.out.data(streams[count++ % BATCH] as Http2Stream, MESSAGE);
});

function sessionOf(
  role: 'client' | 'server',
  out: FrameOut,
  onStream: (stream: Http2Stream, block: HeaderBlock, endStream: boolean) => void,
): Http2Session {
  const owner = {
    onStream,
    onStreamClosed() {},
    onSettings() {},
    onGoaway() {},
    onPong() {},
    onStreamFault() {},
  };
  const maxStreams = role === 'server' ? BATCH : 0;
  return new Http2Session({ role, clock: turnClock, maxStreams, headerBytes: 60 * 1024 }, owner, out);
}

function open(endStream: boolean, write: (encoder: HpackEncoder) => void, chatting = false): Http2Stream {
  const stream = client.open(endStream, write);
  stream.handler = new Asking(stream, chatting);
  return stream;
}

/** A GET is answered at once, a call message by message. */
function serve(stream: Http2Stream, _block: HeaderBlock, endStream: boolean): void {
  server.out.headers(stream, false, (encoder) => {
    encoder.status(200);
    encoder.field('content-type', endStream ? 'application/octet-stream' : 'application/grpc');
  });
  if (endStream) {
    server.out.data(stream, BODY);
    server.out.finish(stream, null);
    return;
  }
  stream.handler = {
    onBlock: () => '',
    onData: (chunk) => void server.out.data(stream, chunk),
    onEnd: () => server.out.finish(stream, TRAILERS),
    onWritable() {},
    onReset() {},
  };
}

function writeGet(encoder: HpackEncoder, path: string): void {
  encoder.request('GET', 'https', 'svc-0.bench.example', path, '');
  for (const [name, value] of REQUEST_HEADERS) encoder.field(name, value);
}

function writeCall(encoder: HpackEncoder, call: number, own: boolean): void {
  const id = call.toString(16).padStart(12, '0');
  encoder.request('POST', 'http', 'svc-0.bench.example', '/bench.Echo/Once', '');
  encoder.field('te', 'trailers');
  encoder.field('content-type', 'application/grpc');
  encoder.field('user-agent', 'grpc-bench/1.0');
  encoder.field('traceparent', `00-4bf92f3577b34da6a3ce${id}-a3ce${id}-00`);
  encoder.field('x-request-id', `6f1d2c3b-4a59-4687-9321-${id}`);
  if (own) encoder.field('x-cart-id', `cart-${id}`);
}
