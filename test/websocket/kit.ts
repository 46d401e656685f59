/**
 * Both ends of a tunnel through the proxy, of either version of HTTP, as streams of bytes with one face: so that one test
 * holds for all four pairings.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { after } from 'node:test';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';

export type Version = '1.1' | '2';

export interface Pairing {
  readonly client: Version;
  readonly endpoint: Version;
}

export const PAIRINGS: readonly Pairing[] = [
  { client: '1.1', endpoint: '1.1' },
  { client: '1.1', endpoint: '2' },
  { client: '2', endpoint: '1.1' },
  { client: '2', endpoint: '2' },
];

/** The key that clients of HTTP/1.1 send, and its proof (RFC 6455 section 1.3). */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/** What a test that failed has left open would keep its file from ending. */
const open = new Set<() => void>();
after(() => {
  for (const close of open) close();
});

/** One end of a tunnel. It keeps what it gets. */
export class End {
  readonly stream: Duplex;
  text = '';
  bytes = 0;
  /** The other side has ended its direction. */
  ended = false;
  closed = false;
  private error: NodeJS.ErrnoException | null = null;
  private waiters: (() => void)[] = [];

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.text.length < 1_000_000) this.text += chunk.toString('latin1');
      this.wake();
    });
    stream.on('end', () => {
      this.ended = true;
      this.wake();
    });
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error;
    });
    stream.on('close', () => {
      this.closed = true;
      this.wake();
    });
  }

  send(text: string): this {
    this.stream.write(text, 'latin1');
    return this;
  }

  end(): this {
    this.stream.end();
    return this;
  }

  /** Cuts it off. Node's HTTP/2 sends END_STREAM before RST_STREAM, so the other side may hear an end before. */
  reset(): void {
    if ('resetAndDestroy' in this.stream) (this.stream as Socket).resetAndDestroy();
    else (this.stream as Http2Stream).close(constants.NGHTTP2_CANCEL);
  }

  /** How it was closed: `end`, or by a reset (of TCP; of the stream, RFC 8441 section 5). */
  get how(): 'end' | 'reset' | string {
    if (!this.closed) return 'open';
    if (
      this.error?.code === 'ECONNRESET' ||
      this.error?.code === 'EPIPE' ||
      this.rstCode === constants.NGHTTP2_CANCEL
    )
      return 'reset';
    return this.error === null && this.rstCode === 0 ? 'end' : `${this.error} ${this.rstCode}`;
  }

  async until(test: () => boolean, what: string): Promise<void> {
    while (!test()) {
      if (this.closed) throw new Error(`it was closed before ${what}; received ${this.text.slice(-500)}`);
      await this.change(what);
    }
  }

  async hears(text: string): Promise<void> {
    await this.until(() => this.text.endsWith(text), JSON.stringify(text));
  }

  async untilEnd(): Promise<void> {
    while (!this.ended && !this.closed) await this.change('its end');
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await this.change('it is closed');
  }

  /** A TCP socket whose end Node has read shows its reset only to who writes. */
  async untilCut(): Promise<void> {
    await this.untilEnd();
    const writing = setInterval(() => this.send('.'), 1);
    await this.untilClosed();
    clearInterval(writing);
  }

  private get rstCode(): number {
    return (this.stream as Partial<Http2Stream>).rstCode ?? 0;
  }

  private change(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(
        () => reject(new Error(`nothing came for 10 s, not ${what}; received ${this.text.slice(-500)}`)),
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

export type Fields = Readonly<Record<string, string>>;

/** A request for a tunnel as an endpoint sees it. */
export interface Asked {
  readonly fields: IncomingHttpHeaders;
  /** Agrees. `proof`: Sec-WebSocket-Accept where the version has one; by itself the right one. */
  agree(proof?: string): End;
  /** Answers otherwise. */
  decline(status: number, body: string): void;
}

export interface TunnelEndpoint {
  readonly port: number;
  readonly asked: Asked[];
  readonly requests: string[];
  /** Connections accepted so far. */
  connections: number;
  close(): void;
}

/** An endpoint that is asked for tunnels, and answers other requests with their path. */
export async function tunnelEndpoint(
  version: Version,
  onAsked: (asked: Asked) => void,
): Promise<TunnelEndpoint> {
  const sockets = new Set<Socket>();
  const close = (): void => {
    open.delete(close);
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  open.add(close);
  const made: TunnelEndpoint = { port: 0, asked: [], requests: [], connections: 0, close };
  const ask = (asked: Asked): void => {
    made.asked.push(asked);
    onAsked(asked);
  };
  const answer: Answering = (url, end) => {
    made.requests.push(url);
    end(url);
  };
  const server: Server =
    version === '1.1'
      ? createHttpServer(({ url = '' }, response) => answer(url, (body) => response.end(body)))
      : http2Server(ask, answer);
  server.on('connection', (socket: Socket) => {
    made.connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (upgrade: IncomingMessage, socket: Socket, first: Buffer) => {
    ask({
      fields: upgrade.headers,
      agree(proof = acceptOf(String(upgrade.headers['sec-websocket-key']))) {
        if (first.length > 0) socket.unshift(first);
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
            `${proof === '' ? '' : `Sec-WebSocket-Accept: ${proof}\r\n`}X-By: endpoint\r\n\r\n`,
        );
        return new End(socket);
      },
      decline(status, body) {
        socket.end(
          `HTTP/1.1 ${status} No\r\nX-By: endpoint\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
      },
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(made, { port: (server.address() as AddressInfo).port });
}

/** RFC 6455 section 4.2.2. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

type Answering = (url: string, end: (body: string) => void) => void;

function http2Server(ask: (asked: Asked) => void, answer: Answering): Server {
  const server = createHttp2Server({ settings: { enableConnectProtocol: true } });
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, fields) => {
    stream.on('error', () => {});
    if (fields[':method'] !== 'CONNECT') {
      stream.respond({ ':status': 200 });
      answer(String(fields[':path']), (body) => stream.end(body));
      return;
    }
    ask({
      fields,
      agree() {
        stream.respond({ ':status': 200, 'x-by': 'endpoint' });
        return new End(stream);
      },
      decline(status, body) {
        stream.respond({ ':status': status, 'x-by': 'endpoint' });
        stream.end(body);
      },
    });
  });
  return server as unknown as Server;
}

/** The answer that a client got to its request for a tunnel; `end` lives on where it is 101, or 200 over HTTP/2. */
export interface Opened {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly end: End;
}

/** What asks for tunnels: each with a connection of its own, or all over one of HTTP/2. */
export interface Opener {
  /** `early`: sent right behind the request. */
  open(early?: string, fields?: Fields): Promise<Opened>;
  /** Null for HTTP/1.1. */
  readonly session: ClientHttp2Session | null;
  close(): void;
}

export async function opener(version: Version, port: number): Promise<Opener> {
  if (version === '1.1')
    return { open: (early, fields) => openByUpgrade(port, early, fields), session: null, close() {} };
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const close = (): void => {
    open.delete(close);
    session.destroy();
  };
  open.add(close);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return { open: (early, fields) => openByConnect(session, early, fields), session, close };
}

async function openByUpgrade(port: number, early = '', fields: Fields = {}): Promise<Opened> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
  const close = (): void => {
    socket.destroy();
  };
  open.add(close);
  socket.on('close', () => open.delete(close));
  const end = new End(socket);
  const extra = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  end.send(
    'GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${extra.join('')}\r\n${early}`,
  );
  await end.until(() => end.text.includes('\r\n\r\n'), 'an answer');
  const at = end.text.indexOf('\r\n\r\n') + 4;
  const [line = '', ...lines] = end.text.slice(0, at - 4).split('\r\n');
  end.text = end.text.slice(at);
  end.bytes -= at;
  const answered = lines.map((text) => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()];
  });
  return { status: Number(line.split(' ')[1]), fields: Object.fromEntries(answered), end };
}

async function openByConnect(session: ClientHttp2Session, early = '', fields: Fields = {}): Promise<Opened> {
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/chat',
    ':authority': 'shop',
    'sec-websocket-version': '13',
    ...fields,
  });
  const end = new End(stream);
  if (early !== '') end.send(early);
  const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
  return { status: answered[':status'], fields: answered, end };
}

export interface Parts {
  readonly listener?: string;
  readonly rule?: string;
  readonly service?: string;
}

/** Everything of one pairing. */
export interface Bench {
  readonly proxy: TestProxy;
  readonly endpoint: TunnelEndpoint;
  readonly opener: Opener;
  /** A tunnel, and the endpoint's end of it. */
  tunnel(early?: string): Promise<{ readonly client: End; readonly server: End; readonly opened: Opened }>;
}

/** A proxy between clients and an endpoint of these versions; the endpoint agrees unless `onAsked` does otherwise. */
export async function withTunnels(
  pairing: Pairing,
  use: (bench: Bench) => Promise<void>,
  parts: Parts & { readonly onAsked?: (asked: Asked) => void; readonly more?: string } = {},
): Promise<void> {
  const ends: End[] = [];
  const onAsked =
    parts.onAsked ??
    ((asked: Asked): void => {
      ends.push(asked.agree());
    });
  const endpoint = await tunnelEndpoint(pairing.endpoint, onAsked);
  const protocol = `protocol: ${pairing.endpoint === '2' ? 'http2' : 'http'}`;
  const service = `${protocol}\n${parts.service ?? ''}`;
  await withProxy(oneService([endpoint.port], { ...parts, service }) + (parts.more ?? ''), async (proxy) => {
    const by = await opener(pairing.client, proxy.port);
    await use({
      proxy,
      endpoint,
      opener: by,
      async tunnel(early) {
        const at = ends.length;
        const opened = await by.open(early);
        return { client: opened.end, server: ends[at] as End, opened };
      },
    });
    by.close();
  });
  endpoint.close();
}
