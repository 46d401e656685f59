/** HTTP/2 by hand, independent of our codec: frames to send, and a peer of either side that keeps what it is sent. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after } from 'node:test';
import { until } from '../kit/proxy.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const WITH_PRIORITY = 0x20;

const NONE = Buffer.alloc(0);

export function frame(type: number, flags: number, stream: number, payload: Buffer = NONE): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, 9);
  return bytes;
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}

/** id, value, id, value. */
export function settings(...values: readonly number[]): Buffer {
  const payload = Buffer.alloc(values.length * 3);
  for (let i = 0; i + 1 < values.length; i += 2) {
    payload.writeUInt16BE(values[i] as number, i * 3);
    payload.writeUInt32BE(values[i + 1] as number, i * 3 + 2);
  }
  return frame(TYPE.settings, 0, 0, payload);
}

export const SETTINGS_ACK = frame(TYPE.settings, ACK, 0);
export const PING = frame(TYPE.ping, 0, 0, Buffer.alloc(8));
export const INITIAL_WINDOW = 4;
export const MAX_STREAMS = 3;
export const TABLE_SIZE = 1;

export const windowUpdate = (stream: number, increment: number): Buffer =>
  frame(TYPE.windowUpdate, 0, stream, uint32(increment));
export const rst = (stream: number, code = 8): Buffer => frame(TYPE.rstStream, 0, stream, uint32(code));
export const goaway = (last: number, code = 0, debug = ''): Buffer =>
  frame(TYPE.goaway, 0, 0, Buffer.concat([uint32(last, code), Buffer.from(debug, 'latin1')]));
export const data = (stream: number, payload: Buffer | string, flags = 0): Buffer =>
  frame(TYPE.data, flags, stream, Buffer.from(payload as string, 'latin1'));

/** A string literal of HPACK without Huffman (RFC 7541 section 5.2). */
export function text(value: string): Buffer {
  return Buffer.concat([integer(value.length, 7, 0), Buffer.from(value, 'latin1')]);
}

/** An integer of HPACK with a prefix of so many bits. */
export function integer(value: number, bits: number, first: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** A literal field: `0x40` indexed, `0x00` not, `0x10` never. */
export function field(name: string, value: string, how = 0): Buffer {
  return Buffer.concat([Buffer.from([how]), text(name), text(value)]);
}

/** Header block of a request; `fields` are names and values, in whatever order and case. */
export function requestBlock(
  method: string,
  path: string,
  fields: readonly (readonly [string, string])[] = [],
): Buffer {
  const known: Readonly<Record<string, number>> = { GET: 0x82, POST: 0x83 };
  const first = known[method];
  return Buffer.concat([
    first === undefined ? field(':method', method) : Buffer.from([first]),
    Buffer.from([0x86]), // :scheme http
    path === '/' ? Buffer.from([0x84]) : Buffer.concat([Buffer.from([0x04]), text(path)]),
    Buffer.from([0x01]), // :authority, not indexed
    text('test'),
    ...fields.map(([name, value]) => field(name, value)),
  ]);
}

export const headers = (stream: number, block: Buffer, flags = END_HEADERS): Buffer =>
  frame(TYPE.headers, flags, stream, block);
export const get = (stream: number, path = '/'): Buffer =>
  headers(stream, requestBlock('GET', path), END_HEADERS | END_STREAM);
export const post = (
  stream: number,
  path = '/',
  fields: readonly (readonly [string, string])[] = [],
): Buffer => headers(stream, requestBlock('POST', path, fields));
/** The head of an answer: 200, or what else the static table or a literal has. */
export const answer = (stream: number, flags = END_HEADERS, status = 200): Buffer =>
  headers(stream, status === 200 ? Buffer.from([0x88]) : field(':status', String(status)), flags);

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

  /** A client that has sent the preface and these SETTINGS, and acknowledges ours. */
  static async connect(port: number, ...first: readonly number[]): Promise<FramePeer> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const peer = new FramePeer(socket, false);
    await once(socket, 'connect');
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

  /** The stream was ended by the other side: its last frame or a reset has come. */
  ended(stream: number): boolean {
    return this.frames.some(
      (one) =>
        one.stream === stream &&
        (one.type === TYPE.rstStream ||
          ((one.type === TYPE.data || one.type === TYPE.headers) && (one.flags & END_STREAM) !== 0)),
    );
  }

  /** The status of an answer, as our encoder writes the first field; 0: none yet. */
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
      const payload = type === TYPE.data ? NONE : Buffer.from(this.held.subarray(at + 9, at + 9 + length));
      const one: Frame = { type, flags: this.held[at + 4] as number, stream, payload, length };
      this.frames.push(one);
      at += 9 + length;
      this.onFrame(one);
    }
    // A copy: what is left must not hold on to the whole read.
    this.held = Buffer.from(this.held.subarray(at));
  }
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
