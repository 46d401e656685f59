/**
 * A gRPC client that calls as often as it is answered (closed loop). It stays up for a whole scenario, so that its own
 * compilation is in no figure, and is told by `GET /run?…` on its control port what to do next. A call is unary, or a
 * stream on which a message of 100 bytes goes out and comes back, one at a time, until there were as many as
 * `MESSAGES`. Every call has metadata of its own. Argument: CONTROL_PORT.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  beginHeaders,
  endHeaders,
  FRAME_BYTES_DEFAULT,
  HEADER_TABLE_DEFAULT,
  HpackDecoder,
} from '../../src/dataplane/codec/http2/index.ts';
import { FrameConnection } from './frame-connection.ts';
import { type CallOptions, callOptions } from './grpc.ts';
import { hostOf } from './headers.ts';
import { LatencyCounts } from './latency-counts.ts';
import type { LoadResult } from './wrk.ts';

/** A prefix of five bytes (not compressed, 100 bytes), then as many bytes. */
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 'x')]);
/** What a stream carries before it ends: seconds of a stream's life, and less than a window. */
const MESSAGES = 500;
const LIMITS = { listBytes: 16_384, fieldCount: 100 };

interface Call {
  sentMs: number;
  /** Messages still to be sent. */
  left: number;
  received: number;
}

let calls = 0;

class CallingConnection extends FrameConnection {
  answers = 0;
  errors = 0;
  bytes = 0;
  readonly latencies = new LatencyCounts();
  private readonly unary: boolean;
  private readonly authority: string;
  private readonly decoder = new HpackDecoder(LIMITS, HEADER_TABLE_DEFAULT);
  private readonly open = new Map<number, Call>();
  private nextId = 1;

  constructor(socket: ReturnType<typeof connect>, unary: boolean, service: number) {
    super(socket, 'client');
    this.unary = unary;
    this.authority = hostOf(service);
    socket.on('close', () => {
      this.errors += this.open.size;
    });
  }

  start(streams: number): void {
    this.nowMs = performance.now();
    for (let i = 0; i < streams; i++) this.call();
    this.flush();
  }

  onHeaders(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const block = this.decoder.decode(bytes, start, end);
    const call = this.open.get(streamId);
    // Without its table nothing that follows can be read.
    if (block === null) this.close();
    if (block === null || call === undefined || !endStream) return;
    const whole = call.left === 0 && call.received === (this.unary ? MESSAGE.length : 0);
    this.ended(streamId, call, whole && block.takeHeaders().get('grpc-status') === '0');
  }

  onDataBytes(streamId: number, _bytes: Buffer, start: number, end: number): void {
    const call = this.open.get(streamId);
    if (call === undefined) return;
    this.bytes += end - start;
    call.received += end - start;
    if (this.unary || call.received < MESSAGE.length) return;
    call.received = 0;
    this.answered(call);
    if (call.left > 0) this.send(streamId, call, false);
    else this.data(streamId, MESSAGE, 0, 0, true);
  }

  onDataEnd(streamId: number, endStream: boolean): void {
    // gRPC ends with trailers.
    const call = endStream ? this.open.get(streamId) : undefined;
    if (call !== undefined) this.ended(streamId, call, false);
  }

  onRstStream(streamId: number): void {
    const call = this.open.get(streamId);
    if (call !== undefined) this.ended(streamId, call, false);
  }

  private ended(streamId: number, call: Call, well: boolean): void {
    this.open.delete(streamId);
    if (!well) this.errors++;
    else if (this.unary) this.answered(call);
    this.call();
  }

  private answered(call: Call): void {
    this.answers++;
    this.latencies.add(this.nowMs - call.sentMs);
  }

  private call(): void {
    const { out, encoder } = this;
    const streamId = this.nextId;
    this.nextId += 2;
    const id = (++calls).toString(16).padStart(12, '0');
    const start = beginHeaders(out);
    encoder.begin(out);
    encoder.request('POST', 'http', this.authority, this.unary ? '/bench.Echo/Once' : '/bench.Echo/Chat', '');
    encoder.field('te', 'trailers');
    encoder.field('content-type', 'application/grpc');
    encoder.field('user-agent', 'grpc-bench/1.0');
    encoder.field('grpc-accept-encoding', 'identity,deflate,gzip');
    if (this.unary) encoder.field('grpc-timeout', '10S');
    // The caller decides about traces: every hundredth is sampled.
    encoder.field('traceparent', `00-4bf92f3577b34da6a3ce${id}-a3ce${id}-${calls % 100 === 0 ? '01' : '00'}`);
    encoder.field('x-request-id', `6f1d2c3b-4a59-4687-9321-${id}`);
    encoder.field('x-cart-id', `cart-${id}`);
    encoder.end();
    endHeaders(out, start, streamId, false, FRAME_BYTES_DEFAULT);
    const call = { sentMs: 0, left: this.unary ? 1 : MESSAGES, received: 0 };
    this.open.set(streamId, call);
    this.send(streamId, call, this.unary);
  }

  private send(streamId: number, call: Call, last: boolean): void {
    call.left--;
    call.sentMs = this.nowMs;
    this.data(streamId, MESSAGE, 0, MESSAGE.length, last);
  }
}

async function run({
  port,
  unary,
  seconds,
  connections,
  streams,
  services,
}: CallOptions): Promise<LoadResult> {
  const open = async (index: number): Promise<CallingConnection> => {
    const socket = connect({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    return new CallingConnection(socket, unary, index % services);
  };
  const all = await Promise.all(Array.from({ length: connections }, (_, index) => open(index)));
  const started = performance.now();
  for (const connection of all) connection.start(streams);
  await sleep(seconds * 1e3);
  const elapsed = (performance.now() - started) / 1e3;
  const sum = (value: (connection: CallingConnection) => number): number =>
    all.reduce((total, connection) => total + value(connection), 0);
  const result = {
    requests: sum(({ answers }) => answers),
    seconds: elapsed,
    bytes: sum(({ bytes }) => bytes),
    errors: sum(({ errors }) => errors),
    latencyMs: LatencyCounts.percentiles(all.map(({ latencies }) => latencies)),
  };
  for (const connection of all) connection.close();
  return result;
}

createServer((request, response) => {
  void run(callOptions(request.url ?? '')).then(
    (result) => response.end(JSON.stringify(result)),
    (error) => response.writeHead(500).end(String(error)),
  );
}).listen(Number(process.argv[2]), '127.0.0.1');
