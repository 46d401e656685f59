/** Sessions over real sockets: a server that echoes, and a client for node:http2's server. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../src/base/index.ts';
import {
  type FrameOut,
  type HeaderBlock,
  Http2Session,
  type Http2Stream,
  responseFault,
  type SessionOwner,
} from '../../src/dataplane/codec/http2/index.ts';
import type { HeaderList } from '../../src/message/index.ts';

const HEADER_BYTES = 60 * 1024;

function outOf(socket: Socket): FrameOut {
  return {
    put(bytes, start, end) {
      if (socket.writable) socket.write(Buffer.from(bytes.subarray(start, end)));
    },
    flush() {},
    queued() {},
    get belowHighWater() {
      return socket.writableLength < 256 * 1024;
    },
  };
}

function feed(socket: Socket, session: Http2Session): void {
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    if (session.execute(chunk, 0, chunk.length) < 0) setImmediate(() => socket.end());
  });
  socket.on('drain', () => session.out.pump());
  socket.on('error', () => {});
  socket.on('close', () => session.end('closed'));
}

export interface EchoServer {
  readonly port: number;
  readonly sessions: Http2Session[];
  /** Bytes that streams hold because they can't be sent. */
  queuedBytes(): number;
  close(): Promise<void>;
}

/** Answers every request with 200 and its own body and trailers, as they come; `ok` to one without. */
export async function echoServer(maxStreams = 100): Promise<EchoServer> {
  const sessions: Http2Session[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const owner: SessionOwner = {
      onStream: (stream, block, endStream) => echo(session, stream, block, endStream),
      onStreamClosed() {},
      onSettings() {},
      onGoaway() {},
      onPong() {},
      onStreamFault() {},
    };
    const options = { role: 'server', clock: systemClock, maxStreams, headerBytes: HEADER_BYTES } as const;
    const session: Http2Session = new Http2Session(options, owner, outOf(socket));
    sessions.push(session);
    feed(socket, session);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    sessions,
    queuedBytes() {
      let bytes = 0;
      for (const session of sessions)
        for (const stream of session.streams.open.list()) bytes += stream.queuedBytes;
      return bytes;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function echo(session: Http2Session, stream: Http2Stream, block: HeaderBlock, endStream: boolean): void {
  const path = block.pseudo.path ?? '';
  const head = (status: number, endsHere: boolean): void =>
    session.out.headers(stream, endsHere, (encoder) => {
      encoder.status(status);
      encoder.field('x-path', path);
    });
  if (block.tooLarge !== '') {
    head(431, true);
    return;
  }
  if (endStream) {
    // Later, as an answer that has to be fetched: until then the stream counts.
    setImmediate(() => {
      if (stream.closed) return;
      head(200, false);
      session.out.data(stream, Buffer.from('ok'));
      session.out.finish(stream, null);
    });
    return;
  }
  stream.handler = {
    onBlock: () => '',
    onData(chunk) {
      if (!session.out.data(stream, chunk)) session.pause(stream);
    },
    onEnd: (trailers) => session.out.finish(stream, trailers),
    onWritable: () => session.resume(stream),
    onReset() {},
  };
  head(200, false);
}

export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer;
  readonly trailers: HeaderList | null;
}

export interface SessionClient {
  readonly session: Http2Session;
  request(path: string, body: Buffer | null): Promise<Answer>;
  close(): void;
}

/** `from`: the address it has. */
export async function sessionClient(port: number, from = '127.0.0.1'): Promise<SessionClient> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  await once(socket, 'connect');
  const waiting: (() => void)[] = [];
  const next = (): void => {
    if (session.canOpen) waiting.shift()?.();
  };
  const owner: SessionOwner = {
    onStream() {},
    onStreamClosed: next,
    onSettings: next,
    onGoaway() {},
    onPong() {},
    onStreamFault() {},
  };
  const options = { role: 'client', clock: systemClock, maxStreams: 0, headerBytes: HEADER_BYTES } as const;
  const session: Http2Session = new Http2Session(options, owner, outOf(socket));
  feed(socket, session);
  const request = async (path: string, body: Buffer | null): Promise<Answer> => {
    if (!session.canOpen) await new Promise<void>((resolve) => waiting.push(resolve));
    return new Promise((resolve, reject) => {
      let head: { status: number; headers: HeaderList } | null = null;
      const parts: Buffer[] = [];
      const stream = session.open(body === null, (encoder) => {
        encoder.request(body === null ? 'GET' : 'POST', 'http', 'test', path, '');
        encoder.field('x-number', path);
      });
      stream.handler = {
        onBlock(block) {
          const why = responseFault(block);
          if (why === '' && block.status >= 200) {
            stream.headSeen = true;
            stream.expectedBytes = block.contentLength;
            head = { status: block.status, headers: block.takeHeaders() };
          }
          return why;
        },
        onData: (chunk) => parts.push(Buffer.from(chunk)),
        onEnd(trailers) {
          if (head === null) reject(new Error('no head'));
          else resolve({ ...head, body: Buffer.concat(parts), trailers });
        },
        onWritable() {},
        onReset: (_cause, code, detail) => reject(new Error(`reset ${code}: ${detail}`)),
      };
      if (body !== null) {
        session.out.data(stream, body);
        session.out.finish(stream, null);
      }
    });
  };
  return { session, request, close: () => socket.destroy() };
}
