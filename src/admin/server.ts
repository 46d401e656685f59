/**
 * The management API: node:http, because nothing here is on the path of a request. Checks that hold for
 * every endpoint (Host, cross-site, method, body size) live here; each endpoint is a file of its own.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LIMITS } from '../base/index.ts';
import {
  AdminError,
  type AdminRequest,
  type Answer,
  type Endpoint,
  errorAnswer,
  readBody,
} from './answer.ts';
import type { AdminApi } from './api.ts';
import { ENDPOINTS } from './endpoints/index.ts';
import { createGuard, type Guard } from './guard.ts';

// Not by `import`: that reads every export of node:http, which for WebSocket loads Node's own undici (5 MiB, 30 ms).
const { createServer } = process.getBuiltinModule('node:http');

export interface AdminOptions {
  /** Loopback by default of the configuration. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly api: AdminApi;
  /** Told of every endpoint that failed in a way nobody foresaw. */
  onError(message: string, error: unknown): void;
}

export interface AdminServer {
  readonly address: { readonly host: string; readonly port: number };
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** Listens. Rejects with a message that names the cure when the address can't be had. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const guard = createGuard(options.host);
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 60_000, maxHeaderSize: 16_384 },
    (message, response) => {
      answerTo(message, options, guard)
        .then((answer) => send(response, answer, message))
        .catch((error: unknown) => {
          options.onError('the answer could not be sent', error);
          response.destroy();
        });
    },
  );
  server.maxConnections = LIMITS.adminConnections;
  await listen(server, options);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { host, port }: AdminOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const cure =
        error.code === 'EADDRINUSE'
          ? 'another process listens there: stop it, or set admin.address (or --admin) to a free port'
          : error.code === 'EADDRNOTAVAIL'
            ? 'this machine has no such address: set admin.address to one it has'
            : 'set admin.address (or --admin) to an address this user may listen on';
      reject(new Error(`admin: cannot listen on ${host}:${port} (${error.code ?? error.message}); ${cure}`));
    });
    server.listen({ host, port, exclusive: true }, () => resolve());
  });
}

async function answerTo(message: IncomingMessage, options: AdminOptions, guard: Guard): Promise<Answer> {
  try {
    const url = urlOf(message);
    const found = find(url.pathname);
    guard.check(message, found?.endpoint.anyHost === true);
    if (!found) {
      throw new AdminError(404, 'not-found', `there is no ${url.pathname}`, 'see / for what there is');
    }
    const { endpoint, params } = found;
    const method = methodOf(message, endpoint);
    const request: AdminRequest = { method, query: url.searchParams, params, body: () => readBody(message) };
    return await endpoint.handle(request, options.api);
  } catch (error) {
    if (error instanceof AdminError) return errorAnswer(error);
    options.onError(`${message.method} ${message.url} failed`, error);
    return errorAnswer(
      new AdminError(500, 'internal', error instanceof Error ? error.message : String(error), 'see the log'),
    );
  }
}

function urlOf(message: IncomingMessage): URL {
  const target = message.url ?? '/';
  // Not through `new URL(target, base)` alone: a target such as `//name/ready` would become a host.
  if (target.startsWith('/') && URL.canParse(`http://admin${target}`))
    return new URL(`http://admin${target}`);
  throw new AdminError(400, 'bad-target', 'the request target is not a path', 'send a path such as /ready');
}

function methodOf(message: IncomingMessage, endpoint: Endpoint): 'GET' | 'POST' {
  const method = message.method === 'HEAD' ? 'GET' : message.method;
  const found = endpoint.methods.find((allowed) => allowed === method);
  if (found) return found;
  const allow = endpoint.methods.flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name])).join(', ');
  throw new AdminError(
    405,
    'method-not-allowed',
    `${endpoint.path} does not take ${message.method}`,
    `use ${allow}`,
    { allow },
  );
}

function find(path: string): { endpoint: Endpoint; params: string[] } | null {
  const segments = path.split('/');
  for (const endpoint of ENDPOINTS) {
    const params = matchPath(endpoint.path.split('/'), segments);
    if (params) return { endpoint, params };
  }
  return null;
}

function matchPath(pattern: readonly string[], segments: readonly string[]): string[] | null {
  if (pattern.length !== segments.length) return null;
  const params: string[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const want = pattern[i] as string;
    const have = segments[i] as string;
    if (want.startsWith(':') && have !== '') params.push(have);
    else if (want !== have) return null;
  }
  return params;
}

function send(response: ServerResponse, answer: Answer, message: IncomingMessage): void {
  // A body that nobody read would be taken for the next request, or hold the connection open.
  if (!message.complete) response.setHeader('connection', 'close');
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...answer.headers,
  });
  response.end(answer.body);
}
