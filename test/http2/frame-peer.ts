/**
 * One side of an HTTP/2 connection that sends the frames it is told to and keeps those it gets: a client for the proxy, or
 * an endpoint behind it. It follows no rule of its own but three, each of which can be switched off: it acknowledges
 * SETTINGS, answers PING, and gives windows back.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  ERROR,
  FLAG,
  FRAME,
  FrameReader,
  type FrameSink,
  HpackDecoder,
  PREFACE,
} from '../../src/dataplane/codec/http2/index.ts';
import { blockOf, frame as frameOf, requestFields, uint32 } from '../kit/frames.ts';
import { ca, closeLater, type Field, fieldOf } from './peers.ts';

export { frame as frameOf, requestFields } from '../kit/frames.ts';

const NO_BYTES = Buffer.alloc(0);
const KIND = [
  'data',
  'headers',
  'priority',
  'reset',
  'settings',
  'push',
  'ping',
  'goaway',
  'window',
  'continuation',
] as const;

export interface Frame {
  readonly type: (typeof KIND)[number] | 'settings-ack' | 'pong';
  readonly stream: number;
  /** END_STREAM. */
  readonly end: boolean;
  /** Pseudo-header fields first. */
  readonly fields: readonly Field[];
  /** Names of fields that are never to be indexed. */
  readonly sensitive: readonly string[];
  readonly bytes: Buffer;
  /** Error code; increment of a window; the last stream of GOAWAY is `last`. */
  readonly code: number;
  readonly last: number;
  /** Of SETTINGS, by name. */
  readonly settings: Readonly<Record<string, number>>;
}

/** What came on one stream. */
export interface Heard {
  readonly status: number;
  /** Of the final head. */
  readonly fields: readonly Field[];
  readonly body: Buffer;
  readonly trailers: readonly Field[];
  readonly interim: readonly Frame[];
  /** END_STREAM has come. */
  readonly ended: boolean;
  /** Of RST_STREAM; -1: none came. */
  readonly reset: number;
}

export interface PeerOptions {
  readonly settings?: readonly number[];
  readonly acknowledges?: boolean;
  readonly answersPings?: boolean;
  readonly givesWindows?: boolean;
  /** Ends its side when the other has. */
  readonly ends?: boolean;
}

export class FramePeer implements FrameSink {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  ended = false;
  closed = false;
  readonly options: Required<PeerOptions>;
  private readonly decoder = new HpackDecoder({ listBytes: 1 << 20, fieldCount: 1_000 }, 4_096);
  private readonly data = new Map<number, Buffer[]>();
  private waiters: (() => void)[] = [];

  /** A server reads the preface; a client sends it. */
  constructor(socket: Socket, role: 'client' | 'server', options: PeerOptions = {}) {
    this.socket = socket;
    this.options = {
      settings: [],
      acknowledges: true,
      answersPings: true,
      givesWindows: true,
      ends: true,
      ...options,
    };
    const limits = { frameBytes: 1 << 20, blockBytes: 1 << 20, continuations: 1_000 };
    const reader = new FrameReader(this, { preface: role === 'server', ...limits });
    socket.on('data', (chunk: Buffer) => {
      if (reader.execute(chunk, 0, chunk.length) < 0) socket.destroy(new Error(reader.error?.detail));
      this.wake();
    });
    socket.on('end', () => {
      this.ended = true;
      if (this.options.ends) socket.end();
      this.wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      close();
      this.wake();
    });
    const close = closeLater(() => socket.destroy());
    if (role === 'client') this.write(PREFACE);
    this.settings(...this.options.settings);
  }

  static async connect(
    port: number,
    options: PeerOptions & { readonly secure?: boolean } = {},
  ): Promise<FramePeer> {
    const target = { host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true };
    const { secure = false } = options;
    const socket = secure
      ? connectTls({ ...target, ca: ca.certPem, servername: 'web', ALPNProtocols: ['h2'] })
      : connect(target);
    await once(socket, secure ? 'secureConnect' : 'connect');
    return new FramePeer(socket, 'client', options);
  }

  // What it sends.

  write(bytes: Buffer): this {
    if (this.socket.writable) this.socket.write(bytes);
    return this;
  }

  /** `cut`: size of the frames that the block is spread over. */
  headers(
    stream: number,
    fields: readonly Field[],
    { end = false, sensitive = [] as readonly string[], cut = 16_384 } = {},
  ): this {
    const block = blockOf(fields, sensitive);
    const pieces = Math.max(1, Math.ceil(block.length / cut));
    for (let i = 0; i < pieces; i++) {
      const type = i === 0 ? FRAME.headers : FRAME.continuation;
      const flags = (i === 0 && end ? FLAG.endStream : 0) | (i === pieces - 1 ? FLAG.endHeaders : 0);
      this.write(frameOf(type, flags, stream, block.subarray(i * cut, (i + 1) * cut)));
    }
    return this;
  }

  /** A request of a client's. */
  request(
    stream: number,
    fields: readonly Field[] = [],
    { end = true, method = 'GET', path = '/' } = {},
  ): this {
    return this.headers(stream, [...requestFields(method, path), ...fields], { end });
  }

  /** An answer's head. */
  respond(stream: number, status: number, fields: readonly Field[] = [], end = false): this {
    return this.headers(stream, [[':status', String(status)], ...fields], { end });
  }

  body(stream: number, bytes: string | Buffer, end = false): this {
    const payload = Buffer.from(bytes as string, 'latin1');
    return this.write(frameOf(FRAME.data, end ? FLAG.endStream : 0, stream, payload));
  }

  reset(stream: number, code: number = ERROR.cancel): this {
    return this.write(frameOf(FRAME.rstStream, 0, stream, uint32(code)));
  }

  goaway(last: number, code: number = ERROR.noError): this {
    return this.write(frameOf(FRAME.goaway, 0, 0, Buffer.concat([uint32(last), uint32(code)])));
  }

  ping(): this {
    return this.write(frameOf(FRAME.ping, 0, 0, Buffer.from('a ping! ')));
  }

  window(stream: number, increment: number): this {
    return this.write(frameOf(FRAME.windowUpdate, 0, stream, uint32(increment)));
  }

  /** Id, value, id, value. */
  settings(...settings: readonly number[]): this {
    const payload = Buffer.alloc(settings.length * 3);
    for (let i = 0; i + 1 < settings.length; i += 2)
      payload.writeUInt32BE(settings[i + 1] as number, payload.writeUInt16BE(settings[i] as number, i * 3));
    return this.write(frameOf(FRAME.settings, 0, 0, payload));
  }

  destroy(): void {
    this.socket.destroy();
  }

  // What it waits for.

  async until(test: () => boolean, what: string): Promise<void> {
    while (!test()) {
      if (this.closed) throw new Error(`the connection ended before ${what}; ${this.summary()}`);
      await this.change(what);
    }
  }

  /** The first frame that fits; waits for it. */
  async frame(type: Frame['type'], fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    const find = () => this.frames.find((frame) => frame.type === type && fits(frame));
    await this.until(() => find() !== undefined, type);
    return find() as Frame;
  }

  /** What came on this stream once that is all: END_STREAM, or RST_STREAM. */
  async answer(stream: number): Promise<Heard> {
    await this.until(() => {
      const { ended, reset } = this.heard(stream);
      return ended || reset >= 0;
    }, `the end of stream ${stream}`);
    return this.heard(stream);
  }

  /** The code with which this stream was reset; waits for it. */
  async resetOf(stream: number): Promise<number> {
    return (await this.frame('reset', (frame) => frame.stream === stream)).code;
  }

  /** What has come on this stream so far. */
  heard(stream: number): Heard {
    const all = this.frames.filter((frame) => frame.stream === stream);
    const heads = all.filter(({ type }) => type === 'headers');
    const isFinal = ({ fields }: Frame) => !/^1\d\d$/.test(fieldOf(fields, ':status'));
    const [head, trailers] = heads.filter(isFinal);
    return {
      status: Number(fieldOf(head?.fields ?? [], ':status')),
      fields: head?.fields ?? [],
      body: Buffer.concat(all.filter(({ type }) => type === 'data').map(({ bytes }) => bytes)),
      trailers: trailers?.fields ?? [],
      interim: heads.filter((frame) => !isFinal(frame)),
      ended: all.some(({ end }) => end),
      reset: all.find(({ type }) => type === 'reset')?.code ?? -1,
    };
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await this.change('its end');
  }

  async untilEnd(): Promise<void> {
    while (!this.closed && !this.ended) await this.change('its end');
  }

  // What the reader finds.

  onHeaders(stream: number, end: boolean, bytes: Buffer, from: number, to: number): void {
    const block = this.decoder.decode(bytes, from, to);
    if (block === null) throw new Error(this.decoder.error);
    const pseudo = Object.entries(block.pseudo).flatMap(([name, value]): Field[] =>
      value === null ? [] : [[`:${name}`, value]],
    );
    const headers = block.takeHeaders();
    const fields: Field[] = [...pseudo];
    headers.forEach((name, value) => {
      fields.push([name, value]);
    });
    this.note('headers', stream, { end, fields, sensitive: headers.sensitive ?? [] });
  }

  onData(stream: number, flowBytes: number): void {
    this.data.set(stream, []);
    if (flowBytes > 0 && this.options.givesWindows) this.window(0, flowBytes).window(stream, flowBytes);
  }

  onDataBytes(stream: number, bytes: Buffer, start: number, end: number): void {
    this.data.get(stream)?.push(Buffer.from(bytes.subarray(start, end)));
  }

  onDataEnd(stream: number, end: boolean): void {
    this.note('data', stream, { end, bytes: Buffer.concat(this.data.get(stream) ?? []) });
  }

  onRstStream(stream: number, code: number): void {
    this.note('reset', stream, { code });
  }

  onSettings(settings: object): void {
    this.note('settings', 0, { settings: { ...settings } as Record<string, number> });
    if (this.options.acknowledges) this.write(frameOf(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)));
  }

  onSettingsAck(): void {
    this.note('settings-ack', 0, {});
  }

  onPing(ack: boolean, bytes: Buffer, start: number): void {
    const payload = Buffer.from(bytes.subarray(start, start + 8));
    this.note(ack ? 'pong' : 'ping', 0, { bytes: payload });
    if (!ack && this.options.answersPings) this.write(frameOf(FRAME.ping, FLAG.ack, 0, payload));
  }

  onGoaway(last: number, code: number, debug: string): void {
    this.note('goaway', 0, { last, code, bytes: Buffer.from(debug, 'latin1') });
  }

  onWindowUpdate(stream: number, increment: number): void {
    this.note('window', stream, { code: increment });
  }

  onPriority(): void {}

  onUnknown(): void {}

  onStreamError(stream: number, error: { readonly detail: string }): void {
    throw new Error(`stream ${stream}: ${error.detail}`);
  }

  private note(type: Frame['type'], stream: number, parts: Partial<Frame>): void {
    const none = { end: false, fields: [], sensitive: [], bytes: NO_BYTES, code: 0, last: 0, settings: {} };
    this.frames.push({ ...none, type, stream, ...parts });
  }

  private summary(): string {
    return `it got ${this.frames.map(({ type, stream, code }) => `${type}(${stream},${code})`).join(' ')}`;
  }

  private change(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(
        () => reject(new Error(`waited in vain for ${what}; ${this.summary().slice(-2_000)}`)),
        10_000,
      );
      this.waiters.push(() => {
        clearTimeout(overdue);
        resolve();
      });
    });
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}

export interface FrameBackend {
  readonly port: number;
  readonly peers: FramePeer[];
  peer(index: number): Promise<FramePeer>;
  close(): void;
}

/** An endpoint whose connections the test scripts. */
export async function frameBackend(
  onConnection: (peer: FramePeer, index: number) => void = () => {},
  options: PeerOptions = {},
): Promise<FrameBackend> {
  const peers: FramePeer[] = [];
  let waiters: (() => void)[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = new FramePeer(socket, 'server', options);
    peers.push(peer);
    onConnection(peer, peers.length - 1);
    for (const waiter of waiters.splice(0)) waiter();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    peers,
    async peer(index) {
      while (peers[index] === undefined) await new Promise<void>((resolve) => waiters.push(resolve));
      return peers[index] as FramePeer;
    },
    close: closeLater(() => {
      server.close();
      waiters = [];
      for (const peer of peers) peer.destroy();
    }),
  };
}

/** The head of a request that an endpoint got on its `nth` stream; waits for it. */
export async function asked(peer: FramePeer, nth = 0): Promise<Frame> {
  const heads = () => peer.frames.filter(({ type }) => type === 'headers');
  await peer.until(() => heads().length > nth, `request ${nth}`);
  return heads()[nth] as Frame;
}
