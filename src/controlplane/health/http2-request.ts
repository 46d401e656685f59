/**
 * One request over HTTP/2, on a connection that is made already and serves this once.
 *
 * By node:http2, although undici makes every other call of the control plane. Of its 7.30: trailers, where gRPC's
 * status stands, never arrive (an answer over HTTP/2 ends with none); a GOAWAY fails even the request that it promises
 * to answer, as an endpoint sends it that drains; HTTP/2 in plain is for sockets of undici's own making only.
 */
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { LIMITS } from '../../base/index.ts';

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Null: longer than anyone reads. */
  readonly body: Buffer | null;
  readonly trailers: IncomingHttpHeaders;
}

/** `headers` with the pseudo-header fields; `body` null: none. The caller destroys the socket. */
export async function requestOverHttp2(
  socket: Socket,
  headers: OutgoingHttpHeaders,
  body: Buffer | null,
): Promise<Http2Answer> {
  // With the first such check only: its code takes 6 MiB.
  const { connect } = await import('node:http2');
  if (socket.destroyed) throw socket.errored ?? new Error(NOT_BEGUN);
  const session = connect('http://endpoint', {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  try {
    const seen = follow(session, session.request(headers, { endStream: body === null }), body);
    await seen.closed;
    return answerOf(seen);
  } finally {
    session.destroy();
  }
}

/** What has come of an answer. */
interface Seen {
  readonly closed: Promise<void>;
  /** The endpoint's SETTINGS: what answers speaks HTTP/2. */
  settings: boolean;
  head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | null;
  readonly chunks: Buffer[];
  bytes: number;
  trailers: IncomingHttpHeaders;
  fault: NodeJS.ErrnoException | null;
  /** RFC 9113 section 7. */
  readonly resetCode: () => number;
}

function follow(session: ClientHttp2Session, stream: ClientHttp2Stream, body: Buffer | null): Seen {
  const seen: Seen = {
    // Not its `end`: the trailers may come after that.
    closed: new Promise((resolve) => stream.once('close', resolve)),
    settings: false,
    head: null,
    chunks: [],
    bytes: 0,
    trailers: {},
    fault: null,
    resetCode: () => stream.rstCode ?? 0,
  };
  const fail = (error: Error): void => {
    seen.fault ??= error;
  };
  session.on('error', fail);
  stream.on('error', fail);
  session.once('remoteSettings', () => {
    seen.settings = true;
  });
  stream.once('response', (head) => {
    seen.head = head;
  });
  stream.on('data', (chunk: Buffer) => {
    seen.bytes += chunk.length;
    if (seen.bytes > LIMITS.healthBodyBytes) stream.destroy();
    else seen.chunks.push(chunk);
  });
  stream.once('trailers', (trailers) => {
    seen.trailers = trailers;
  });
  if (body !== null) stream.end(body);
  return seen;
}

function answerOf({ settings, head, chunks, bytes, trailers, fault, resetCode }: Seen): Http2Answer {
  const tooLong = bytes > LIMITS.healthBodyBytes;
  const whole = fault === null && resetCode() === 0;
  if (head !== null && (tooLong || whole))
    return {
      status: head[':status'] ?? 0,
      headers: head,
      body: tooLong ? null : Buffer.concat(chunks),
      trailers,
    };
  if (!settings && (fault === null || fault.code === 'ERR_HTTP2_ERROR')) throw new Error(NOT_BEGUN);
  if (fault !== null) throw fault;
  throw new Error(
    head === null ? 'the endpoint closed it without an answer' : 'the endpoint cut its answer off',
  );
}

const NOT_BEGUN = 'what answers speaks no HTTP/2; correct protocol, or the port';
