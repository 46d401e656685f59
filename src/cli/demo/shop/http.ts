/**
 * What the shop's programs share: a small server, a call to the next service, and the one thing a mesh
 * asks of an application: to pass on the headers that tie calls into one trace. The shop knows nothing
 * of the proxy; it calls plain URLs from its environment.
 */
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
} from 'node:http';

/** Trace context in every format a mesh speaks (W3C, B3, Jaeger), and the request's own id. */
const PASSED_ON = [
  'x-request-id',
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'uber-trace-id',
];
const CALL_TIMEOUT_MS = 5_000;
/** A caller's answer is a small JSON document; more is a fault of the callee. */
const ANSWER_BYTES_MAX = 64 * 1024;

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Default `application/json`. */
  readonly contentType?: string;
}

export interface Call {
  readonly url: URL;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

export type Handler = (call: Call) => Reply | Promise<Reply>;

/** Where the next service answers: a URL, and the name to call it by when the URL names the proxy instead. */
export interface Next {
  readonly url: string;
  readonly host: string | undefined;
}

export interface Answered {
  /** 0: no answer at all. */
  readonly status: number;
  readonly body: string;
  readonly elapsedMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 32, timeout: CALL_TIMEOUT_MS });

/** A server that answers `/healthz` itself and leaves the rest to `handler`. */
export function serve(handler: Handler): Server {
  return createServer((message, response) => {
    message.resume();
    answer(message, handler).then((reply) => {
      const body = Buffer.from(reply.body);
      response.writeHead(reply.status, {
        'content-type': reply.contentType ?? 'application/json',
        'content-length': body.length,
      });
      response.end(message.method === 'HEAD' ? undefined : body);
    });
  });
}

/** GETs `path` from the next service. Never rejects: a page shows what failed. */
export function call(next: Next, path: string, from: IncomingHttpHeaders): Promise<Answered> {
  const started = performance.now();
  return new Promise((resolve) => {
    let body = '';
    const done = (status: number): void =>
      resolve({ status, body, elapsedMs: Math.round(performance.now() - started) });
    const outgoing = request(
      new URL(path, next.url),
      {
        agent,
        headers: { ...passedOn(from), ...(next.host && { host: next.host }) },
        timeout: CALL_TIMEOUT_MS,
      },
      (response) => {
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > ANSWER_BYTES_MAX) outgoing.destroy();
        });
        response.on('end', () => done(response.statusCode ?? 0));
        response.on('error', () => done(0));
      },
    );
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('error', () => done(0));
    outgoing.on('close', () => done(0));
    outgoing.end();
  });
}

/** The trace a request belongs to; undefined when nobody in front of us traces. */
export function traceIdOf(headers: IncomingHttpHeaders): string | undefined {
  const id =
    /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(one(headers.traceparent))?.[1] ??
    /^([0-9a-f]{16,32})-/.exec(one(headers.b3))?.[1] ??
    one(headers['x-b3-traceid']);
  return id === '' ? undefined : id;
}

/** Which attempt at this request we are: proxies that retry say so in this header. */
export function attemptOf(headers: IncomingHttpHeaders): number {
  return Number(one(headers['x-envoy-attempt-count'])) || 1;
}

export function json(status: number, value: unknown): Reply {
  return { status, body: `${JSON.stringify(value)}\n` };
}

async function answer(message: IncomingMessage, handler: Handler): Promise<Reply> {
  const method = message.method ?? 'GET';
  // Any Host is fine, so the base only completes the URL.
  const url = URL.canParse(message.url ?? '', 'http://shop')
    ? new URL(message.url ?? '', 'http://shop')
    : null;
  if (url === null) return json(400, { error: 'this is no path' });
  if (url.pathname === '/healthz') return { status: 200, body: 'ok\n', contentType: 'text/plain' };
  if (method !== 'GET' && method !== 'HEAD') return json(405, { error: 'the shop only shows: use GET' });
  try {
    return await handler({ url, method, headers: message.headers });
  } catch (error) {
    return json(500, { error: String(error) });
  }
}

function passedOn(from: IncomingHttpHeaders): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = one(from[name]);
    if (value !== '') headers[name] = value;
  }
  return headers;
}

function one(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? '';
}
