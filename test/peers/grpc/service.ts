/**
 * The gRPC service of the tests, and what a stack has to offer to be one: servers and clients of `@grpc/grpc-js`
 * (js-stack.ts) and of Go's (go-stack.ts, go/), so that every client can be paired with every server.
 *
 * Messages are bytes, without protobuf. What a server does with a call is asked for in metadata:
 *   x-call               the call's name in what the server tells
 *   x-delay-ms           waits first
 *   x-fail, x-fail-message-bin   fails with this status, before any message; x-fail-late: after all of them
 *   x-fail-first         fails this many calls of the same name with x-fail, without headers
 *   x-ping, x-ping-bin   comes back as x-pong in headers and x-tail in trailers
 *   x-count, x-size      what Produce sends
 */
import { createHash } from 'node:crypto';

export const SERVICE = 'outboard.test.Peer';
export const MESSAGE_BYTES_MAX = 16 << 20;
/** How long a test waits for what has to come. */
const PATIENCE_MS = 20_000;

/** Unary; Produce streams from the server; Collect to it, and gives the SHA-256 of all; Chat echoes each message. */
export type Method = 'Unary' | 'Produce' | 'Collect' | 'Chat';
export const METHODS: readonly Method[] = ['Unary', 'Produce', 'Collect', 'Chat'];

export interface CallSpec {
  readonly method: Method;
  /** Lengths of the messages that the client sends; their content is `pattern`. */
  readonly sizes: readonly number[];
  /** Values of names that end in -bin are bytes in base64. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  /** Each message waits for the answer to the last. */
  readonly lockstep?: boolean;
  /** Reads this many messages, and the next one only after `resume()`. */
  readonly pauseAfter?: number;
}

export interface CallResult {
  readonly code: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly trailers: Readonly<Record<string, readonly string[]>>;
  readonly received: readonly { readonly size: number; readonly digest: string }[];
}

export interface RunningCall {
  readonly result: Promise<CallResult>;
  /** Resolves when this many messages have been received. */
  received(count: number): Promise<void>;
  cancel(): void;
  resume(): void;
}

export interface GrpcClient {
  start(name: string, spec: CallSpec): RunningCall;
  close(): Promise<void>;
}

/** What a server tells of a call; `sent` counts the messages that Produce got rid of. */
export interface ServerEvent {
  readonly event: 'begin' | 'end' | 'sent';
  readonly call: string;
  /** Until the deadline that the server was told, at the call's begin; -1: none. */
  readonly deadlineMs?: number;
  /** 1 at the first call of this name. */
  readonly attempt?: number;
  readonly cancelled?: boolean;
  readonly count?: number;
}

export interface GrpcServer {
  readonly port: number;
  readonly events: EventLog;
  /** Gracefully: GOAWAY, and calls under way end. */
  stop(): Promise<void>;
  /** What grpc.health.v1 says of it from now on. */
  setHealth(well: boolean): void;
  close(): Promise<void>;
}

export interface ServerOptions {
  /** Files of a PEM chain and its key: TLS. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Connections get GOAWAY at this age. */
  readonly connectionAgeMs?: number;
}

export interface ClientOptions {
  readonly port: number;
  /** The authority to trust, as a file, and the server's name: TLS. */
  readonly tls?: { readonly caFile: string; readonly name: string };
}

export interface Stack {
  readonly name: string;
  readonly skip: false | string;
  serve(options?: ServerOptions): Promise<GrpcServer>;
  connect(options: ClientOptions): Promise<GrpcClient>;
}

/** What a server told, waited for by a call's name. */
export class EventLog {
  private readonly all: ServerEvent[] = [];
  private waiting: (() => void)[] = [];

  add(event: ServerEvent): void {
    this.all.push(event);
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  get size(): number {
    return this.all.length;
  }

  of(call: string, kind: ServerEvent['event']): ServerEvent[] {
    return this.all.filter((event) => event.call === call && event.event === kind);
  }

  /** How many messages of the call the server got rid of. */
  sent(call: string): number {
    return this.of(call, 'sent').length;
  }

  /** The first event of this kind of the call. */
  async first(call: string, kind: ServerEvent['event']): Promise<ServerEvent> {
    return (await this.atLeast(call, kind, 1))[0] as ServerEvent;
  }

  /** All events of this kind once there are so many: a server's word may come after the client's result. */
  async atLeast(call: string, kind: ServerEvent['event'], count: number): Promise<ServerEvent[]> {
    const waited = patience(`${count} times ${kind} of ${call} at the server`);
    for (;;) {
      const found = this.of(call, kind);
      if (found.length >= count) {
        waited.over();
        return found;
      }
      await Promise.race([new Promise<void>((resolve) => this.waiting.push(resolve)), waited.promise]);
    }
  }
}

/** The n-th message of a length: pattern() in go/main.go makes the same. */
export function pattern(size: number, n: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8) + n * 17) & 255;
  return bytes;
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What `received` is to be when these messages come. */
export function messages(sizes: readonly number[]): CallResult['received'] {
  return sizes.map((size, n) => ({ size, digest: digest(pattern(size, n)) }));
}

/** Rejects when what was waited for has not come in time; a promise that was decided once holds nothing. */
export function patience(what: string): { promise: Promise<never>; over(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), PATIENCE_MS);
  return { promise, over: () => clearTimeout(timer) };
}
