/** Endpoints of either version that send without end, or stop to read, and keep no byte of it. */
import { once } from 'node:events';
import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { Server, Socket } from 'node:net';
import { after } from 'node:test';
import { KIB } from './kit.ts';

export const VERSIONS = ['1.1', '2'] as const;
export type Version = (typeof VERSIONS)[number];

/** Sent over and over: a gigabyte needs no more than this. */
const CHUNK = Buffer.alloc(64 * KIB, 'x');

export interface Endpoint {
  readonly port: number;
  /** Requests whose answer is outstanding. */
  readonly active: number;
  /** Body bytes handed to the sockets, of all answers. */
  readonly produced: number;
  /** Body bytes of `/upload` read so far. */
  readonly consumed: number;
  /** Uploads are not read until `resume`. */
  resume(): void;
  close(): Promise<void>;
}

const open = new Set<Endpoint>();
after(() => Promise.all([...open].map((endpoint) => endpoint.close())));

/**
 * `/big` is answered with so many bytes, `/upload` with their number once it was read, all else with `ok`.
 * HTTP/2 is spoken by prior knowledge.
 */
export async function endpoint(version: Version, bigBytes = 2 ** 30): Promise<Endpoint> {
  const sockets = new Set<Socket>();
  const uploads = new Set<IncomingMessage | Http2ServerRequest>();
  let active = 0;
  let produced = 0;
  let consumed = 0;
  let reading = false;

  const big = (response: ServerResponse): void => {
    let left = bigBytes;
    response.writeHead(200, { 'content-length': String(bigBytes) });
    const more = (): void => {
      while (left > 0) {
        const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= chunk.length;
        produced += chunk.length;
        if (!response.write(chunk) && left > 0) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  };
  const upload = (request: IncomingMessage, response: ServerResponse): void => {
    let bytes = 0;
    uploads.add(request);
    request.pause();
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      consumed += chunk.length;
    });
    if (!reading) request.pause();
    request.on('end', () => response.end(String(bytes)));
    request.on('close', () => uploads.delete(request));
  };
  // Node's compatibility layer makes both look alike.
  const onRequest = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void => {
    const one = request as IncomingMessage;
    const two = response as ServerResponse;
    active++;
    two.on('close', () => active--);
    two.on('error', () => {});
    one.on('error', () => {});
    if (one.url === '/big') big(two);
    else if (one.url === '/upload') upload(one, two);
    else one.resume().on('end', () => two.end('ok'));
  };
  const server: Server = version === '1.1' ? createHttp1Server(onRequest) : createHttp2Server(onRequest);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made: Endpoint = {
    port: (server.address() as { port: number }).port,
    get active() {
      return active;
    },
    get produced() {
      return produced;
    },
    get consumed() {
      return consumed;
    },
    resume() {
      reading = true;
      for (const request of uploads) request.resume();
    },
    async close() {
      open.delete(made);
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  open.add(made);
  return made;
}
