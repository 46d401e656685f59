/**
 * A peer of either side whose frames the test sends and reads by itself. It keeps what it is sent, but of DATA only the
 * lengths: an attack is long. test/http2/frame-peer.ts is the one that reads messages.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after } from 'node:test';
import { HpackDecoder } from '../../src/dataplane/codec/http2/index.ts';
import { END_STREAM, PREFACE, SETTINGS_ACK, settings, TYPE } from '../kit/frames.ts';
import { until } from '../kit/proxy.ts';

const NONE = Buffer.alloc(0);
const ERRORS = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** Empty for DATA, of which only the length is kept. */
  readonly payload: Buffer;
  readonly length: number;
}

/** One end of a connection, whose frames the test sends and reads by itself. */
export class FramePeer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  /** Body bytes by stream. */
  readonly dataBytes = new Map<number, number>();
  closed = false;
  /** Told of every frame as it comes. */
  onFrame: (frame: Frame) => void = () => {};
  private held: Buffer;
  private skip: number;

  constructor(socket: Socket, isServer: boolean) {
    this.socket = socket;
    this.held = NONE;
    this.skip = isServer ? PREFACE.length : 0;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** A connection on which nothing was sent. */
  static async begin(port: number, from = '127.0.0.1'): Promise<FramePeer> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
    const peer = new FramePeer(socket, false);
    await once(socket, 'connect');
    return peer;
  }

  /** A client that has sent the preface and these SETTINGS, and acknowledges ours. */
  static async connect(port: number, ...first: readonly number[]): Promise<FramePeer> {
    return FramePeer.connectFrom('127.0.0.1', port, ...first);
  }

  /** The same, of a client at this address. Rejects when it is refused. */
  static async connectFrom(from: string, port: number, ...first: readonly number[]): Promise<FramePeer> {
    const peer = await FramePeer.begin(port, from);
    peer.send(PREFACE, settings(...first), SETTINGS_ACK);
    return peer;
  }

  send(...parts: readonly Buffer[]): this {
    if (!this.socket.writable) return this;
    this.socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    return this;
  }

  /** Sends, and resolves when all of it has left this process, or the connection has ended. */
  async sent(bytes: Buffer): Promise<void> {
    if (this.closed) return;
    await new Promise<void>((resolve) => {
      this.socket.once('close', resolve);
      this.socket.write(bytes, () => {
        this.socket.removeListener('close', resolve);
        resolve();
      });
    });
  }

  /** The error code of the GOAWAY that came last; empty: none came. */
  get goaway(): string {
    const last = this.frames.findLast(({ type }) => type === TYPE.goaway);
    return last === undefined ? '' : nameOf(last.payload.readUInt32BE(4));
  }

  /** What the GOAWAY that came last says to people. */
  get goawayText(): string {
    const last = this.frames.findLast(({ type }) => type === TYPE.goaway);
    return last === undefined ? '' : last.payload.toString('latin1', 8);
  }

  /** The error code with which a stream was reset; empty: it was not. */
  resetOf(stream: number): string {
    const found = this.frames.find((one) => one.type === TYPE.rstStream && one.stream === stream);
    return found === undefined ? '' : nameOf(found.payload.readUInt32BE(0));
  }

  count(type: number, flag = 0): number {
    return this.frames.filter((one) => one.type === type && (one.flags & flag) === flag).length;
  }

  /** A head has come for this stream. */
  answered(stream: number): boolean {
    return this.frames.some((one) => one.type === TYPE.headers && one.stream === stream);
  }

  /** Statuses of the heads that have come, in order. */
  statuses(): number[] {
    const decoder = new HpackDecoder({ listBytes: 1 << 20, fieldCount: 1_000 }, 4_096);
    return this.frames
      .filter(({ type }) => type === TYPE.headers)
      .map(({ payload }) => decoder.decode(payload, 0, payload.length))
      .map((block) => Number(block?.pseudo.status))
      .filter((status) => status > 0);
  }

  /** The stream was ended by the other side: its last frame or a reset has come. */
  ended(stream: number): boolean {
    return this.frames.some(
      (one) =>
        one.stream === stream &&
        (one.type === TYPE.rstStream ||
          ((one.type === TYPE.data || one.type === TYPE.headers) && (one.flags & END_STREAM) !== 0)),
    );
  }

  async untilClosed(): Promise<void> {
    await until(() => this.closed, 'the end of the connection');
  }

  destroy(): void {
    this.socket.destroy();
  }

  private read(chunk: Buffer): void {
    this.held = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    if (this.skip > 0) {
      if (this.held.length < this.skip) return;
      this.held = this.held.subarray(this.skip);
      this.skip = 0;
    }
    let at = 0;
    while (this.held.length - at >= 9) {
      const length = this.held.readUIntBE(at, 3);
      if (this.held.length - at < 9 + length) break;
      const type = this.held[at + 3] as number;
      const stream = this.held.readUInt32BE(at + 5);
      if (type === TYPE.data) this.dataBytes.set(stream, (this.dataBytes.get(stream) ?? 0) + length);
      const payload = type === TYPE.data ? NONE : kept(this.held.subarray(at + 9, at + 9 + length));
      const one: Frame = { type, flags: this.held[at + 4] as number, stream, payload, length };
      this.frames.push(one);
      at += 9 + length;
      this.onFrame(one);
    }
    // A copy: what is left must not hold on to the whole read.
    this.held = at === this.held.length ? NONE : kept(this.held.subarray(at));
  }
}

/** A copy of its own: one out of Node's pool would keep 64 KiB alive, of which the test would accuse the proxy. */
function kept(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

export interface FrameBackend {
  readonly port: number;
  readonly peers: FramePeer[];
  close(): Promise<void>;
}

const open = new Set<FrameBackend>();
after(() => Promise.all([...open].map((backend) => backend.close())));

/** An endpoint whose connections the test scripts. It has said nothing yet, SETTINGS neither. */
export async function frameBackend(onPeer: (peer: FramePeer, index: number) => void): Promise<FrameBackend> {
  const peers: FramePeer[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const peer = new FramePeer(socket, true);
    peers.push(peer);
    onPeer(peer, peers.length - 1);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend: FrameBackend = {
    port: (server.address() as { port: number }).port,
    peers,
    async close() {
      open.delete(backend);
      for (const peer of peers) peer.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  open.add(backend);
  return backend;
}

function nameOf(code: number): string {
  return ERRORS[code] ?? `0x${code.toString(16)}`;
}
