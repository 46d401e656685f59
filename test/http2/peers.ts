/**
 * Clients and endpoints of either version, made of Node's http and http2, that say what they saw in one form: so that
 * one test of translation holds for every pairing of versions, in plain and over TLS with ALPN.
 */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { after } from 'node:test';
import type { SecretSet } from '../../src/config/index.ts';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';

export type Version = '1.1' | '2';
export type Field = readonly [name: string, value: string];

export interface Message {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  /** Without pseudo-header fields, Host and what HTTP/1.1 frames by. */
  readonly fields: readonly Field[];
  readonly body: Buffer;
  readonly trailers: readonly Field[];
}

export interface Reply {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
  readonly trailers: readonly Field[];
}

export interface Pairing {
  readonly client: Version;
  readonly endpoint: Version;
  readonly secure: boolean;
}

/** All but HTTP/1.1 on both sides, which test/exchange has. */
export const PAIRINGS: readonly Pairing[] = [false, true].flatMap((secure) => [
  { client: '1.1', endpoint: '2', secure },
  { client: '2', endpoint: '1.1', secure },
  { client: '2', endpoint: '2', secure },
]);

export function nameOf({ client, endpoint, secure }: Pairing): string {
  return `${client} → ${endpoint}${secure ? ' over TLS' : ''}`;
}

export const ca = createCa({ commonName: 'ca' });
export const certificate = issueCertificate(ca, { commonName: 'web', dnsNames: ['web'] });
/** For the listener's part of a configuration, and the service's. */
export const LISTENER_TLS = 'tls: { certificates: [{ certFile: /web.pem, keyFile: /web.key }] }';
export const SERVICE_TLS = 'tls: { caFile: /ca.pem, sni: web }';

export async function secrets(): Promise<SecretSet> {
  const loaded = await loadedSecrets({ 'file:/web.pem': certificate }, { 'file:/ca.pem': ca });
  return { version: 1, ticketKeys: [], ...loaded };
}

/** What a test that failed has left open would keep its file from ending. */
const open = new Set<() => void>();
after(() => {
  for (const close of open) close();
});

/** Calls `close` when the file is over, unless that was done. */
export function closeLater(close: () => void): () => void {
  open.add(close);
  return () => {
    open.delete(close);
    close();
  };
}

export interface Endpoint {
  readonly port: number;
  readonly seen: Message[];
  /** Connections accepted so far. */
  connections: number;
  close(): void;
}

/** How a request is answered once all of it has come; what is left out is empty, and the status 200. */
export type Answer = (message: Message) => Partial<Reply>;

export async function endpoint(version: Version, secure: boolean, answer: Answer): Promise<Endpoint> {
  const key = { key: certificate.keyPem, cert: certificate.certPem };
  const server: Server =
    version === '1.1'
      ? secure
        ? https.createServer({ ...key, ALPNProtocols: ['http/1.1'] })
        : http.createServer()
      : secure
        ? http2.createSecureServer(key)
        : http2.createServer();
  const sockets = new Set<Socket>();
  const made: Endpoint = {
    port: 0,
    seen: [],
    connections: 0,
    close: closeLater(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    }),
  };
  const answered: Answer = (message) => {
    made.seen.push(message);
    return answer(message);
  };
  server.on('connection', (socket: Socket) => {
    made.connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  if (version === '1.1')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void answerHttp1(request, response, answered);
    });
  else
    server.on('stream', (stream: http2.ServerHttp2Stream, _headers, _flags, raw: string[]) => {
      void answerHttp2(stream, raw, answered);
    });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(made, { port: (server.address() as AddressInfo).port });
}

async function answerHttp1(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
): Promise<void> {
  const body = await bodyOf(request);
  const { method = '', url = '', headers } = request;
  const reply = answer({
    method,
    target: url,
    authority: headers.host ?? '',
    fields: withoutFraming(pairs(request.rawHeaders)),
    body,
    trailers: pairs(request.rawTrailers),
  });
  const { status = 200, fields = [], trailers = [] } = reply;
  response.sendDate = false;
  response.writeHead(status, fields.flat());
  if (trailers.length > 0) response.addTrailers(trailers as [string, string][]);
  response.end(reply.body);
}

async function answerHttp2(stream: http2.ServerHttp2Stream, raw: string[], answer: Answer): Promise<void> {
  let trailers: readonly Field[] = [];
  stream.on('error', () => {});
  stream.on('trailers', (_trailers, _flags, list: string[]) => {
    trailers = pairs(list);
  });
  const body = await bodyOf(stream);
  const all = pairs(raw);
  const reply = answer({
    method: fieldOf(all, ':method'),
    target: fieldOf(all, ':path'),
    authority: fieldOf(all, ':authority'),
    fields: all.filter(([name]) => !name.startsWith(':')),
    body,
    trailers,
  });
  const { status = 200, fields = [] } = reply;
  sendTrailers(stream, reply.trailers);
  stream.respond([':status', String(status), ...fields.flat()], {
    endStream: reply.body === undefined && reply.trailers === undefined,
    waitForTrailers: reply.trailers !== undefined,
  });
  if (!stream.writableEnded) stream.end(reply.body);
}

function sendTrailers(stream: http2.Http2Stream, trailers: readonly Field[] | undefined): void {
  if (trailers === undefined) return;
  stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(trailers)));
}

export type Request = Partial<Message>;

/** One connection of a client. */
export interface Caller {
  ask(request: Request): Promise<Reply>;
  close(): void;
}

export async function caller(version: Version, secure: boolean, port: number): Promise<Caller> {
  return version === '1.1' ? http1Caller(secure, port) : http2Caller(await http2Client(secure, port));
}

/** A session that is connected. */
export async function http2Client(
  secure: boolean,
  port: number,
  options: http2.SecureClientSessionOptions = {},
): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, {
    ca: ca.certPem,
    servername: 'web',
    ...options,
  });
  session.on('error', () => {});
  const close = closeLater(() => session.destroy());
  session.on('close', close);
  await once(session, 'connect');
  return session;
}

function http1Caller(secure: boolean, port: number): Caller {
  const agent = secure
    ? new https.Agent({ keepAlive: true, maxSockets: 1, ca: ca.certPem, servername: 'web' })
    : new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (asked: Request): Promise<Reply> => {
    const { method = 'GET', target: path = '/', authority = 'shop', fields = [], body, trailers } = asked;
    const headers = ['Host', authority, ...fields.flat()];
    const request = (secure ? https : http).request({
      host: '127.0.0.1',
      port,
      agent,
      method,
      path,
      headers,
    });
    if (trailers !== undefined) request.addTrailers(trailers as [string, string][]);
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const received = await bodyOf(response);
    return {
      status: response.statusCode ?? 0,
      fields: withoutFraming(pairs(response.rawHeaders)),
      body: received,
      trailers: pairs(response.rawTrailers),
    };
  };
  return { ask, close: closeLater(() => agent.destroy()) };
}

export function http2Caller(session: http2.ClientHttp2Session): Caller {
  const ask = async (asked: Request): Promise<Reply> => {
    const { method = 'GET', target = '/', authority = 'shop', fields = [], body, trailers } = asked;
    const stream = session.request(
      [
        ...[':method', method, ':scheme', session.encrypted ? 'https' : 'http', ':path', target],
        ...[':authority', authority, ...fields.flat()],
      ],
      { endStream: body === undefined && trailers === undefined, waitForTrailers: trailers !== undefined },
    );
    sendTrailers(stream, trailers);
    let fieldsIn: readonly Field[] = [];
    let trailersIn: readonly Field[] = [];
    stream.on('response', (_headers, _flags, raw: string[]) => {
      fieldsIn = pairs(raw);
    });
    stream.on('trailers', (_headers, _flags, raw: string[]) => {
      trailersIn = pairs(raw);
    });
    if (!stream.writableEnded) stream.end(body);
    const received = await bodyOf(stream);
    return {
      status: Number(fieldOf(fieldsIn, ':status')),
      fields: fieldsIn.filter(([name]) => !name.startsWith(':')),
      body: received,
      trailers: trailersIn,
    };
  };
  return { ask, close: () => session.destroy() };
}

/** A proxy between an endpoint that answers like this and one connection of a client. */
export async function withPair(
  pairing: Pairing,
  answer: Answer,
  use: (caller: Caller, endpoint: Endpoint, proxy: TestProxy) => Promise<void>,
  parts: { readonly listener?: string; readonly rule?: string; readonly service?: string } = {},
): Promise<void> {
  const { secure } = pairing;
  const behind = await endpoint(pairing.endpoint, secure, answer);
  const protocol = secure ? SERVICE_TLS : `protocol: ${pairing.endpoint === '2' ? 'http2' : 'http'}`;
  const config = oneService([behind.port], {
    ...parts,
    listener: [secure ? LISTENER_TLS : '', parts.listener ?? ''].join('\n'),
    service: [protocol, parts.service ?? ''].join('\n'),
  });
  const options = secure ? { secrets: await secrets() } : {};
  await withProxy(
    config,
    async (proxy) => {
      const client = await caller(pairing.client, secure, proxy.port);
      await use(client, behind, proxy);
      client.close();
    },
    options,
  );
  behind.close();
}

export async function bodyOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

export function pairs(flat: readonly string[]): Field[] {
  const made: Field[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) made.push([flat[at] as string, flat[at + 1] as string]);
  return made;
}

/** All values of this name, in order. */
export function fieldsOf(fields: readonly Field[], name: string): string[] {
  return fields.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

export function fieldOf(fields: readonly Field[], name: string): string {
  return fieldsOf(fields, name).join(', ');
}

const FRAMING = new Set(['host', 'connection', 'transfer-encoding', 'keep-alive']);

function withoutFraming(fields: readonly Field[]): Field[] {
  return fields.filter(([name]) => !FRAMING.has(name.toLowerCase()));
}
