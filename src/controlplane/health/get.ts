/** GET, on a connection that is made already and serves this once. */
import type { Socket } from 'node:net';
import { LIMITS } from '../../base/index.ts';
import { requestOverHttp2 } from './http2-request.ts';

export interface GetRequest {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The head of an answer; names of fields are in lower case. */
export interface GetAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** The answer, when its body has ended or is longer than anyone reads. */
export async function getOverHttp1(
  socket: Socket,
  { scheme, authority, path, headers }: GetRequest,
  signal: AbortSignal,
): Promise<GetAnswer> {
  // With the first check only: its code takes 8 MiB, and many meshes leave checking to the outlier detection.
  const { Client } = await import('undici');
  let given = false;
  const client = new Client(`${scheme}://endpoint`, {
    connect: (_options, callback) => {
      // It asks for another one when the connection closes before the request is written.
      const usable = !given && !socket.destroyed;
      given = true;
      // An answer inside the question is lost.
      queueMicrotask(() =>
        usable ? callback(null, socket) : callback(socket.errored ?? new Error(CLOSED), null),
      );
    },
    pipelining: 0,
  });
  try {
    const {
      statusCode,
      headers: fields,
      body,
    } = await client.request({
      path,
      method: 'GET',
      headers: { host: authority, ...headers },
      signal,
    });
    await body.dump({ limit: LIMITS.healthBodyBytes, signal });
    return { status: statusCode, headers: fields };
  } finally {
    await client.destroy();
  }
}

/** The same over HTTP/2. Who aborts destroys the socket. */
export async function getOverHttp2(
  socket: Socket,
  { scheme, authority, path, headers }: GetRequest,
): Promise<GetAnswer> {
  const pseudo = { ':method': 'GET', ':scheme': scheme, ':authority': authority, ':path': path };
  return requestOverHttp2(socket, { ...pseudo, ...headers }, null);
}

const CLOSED = 'the endpoint closed the connection before the request was sent';
