/**
 * Answers of the admin server. Everything that goes wrong is one JSON shape, `{"error": {code, message,
 * cure}}`, so that a script can tell faults apart without reading prose.
 */
import type { IncomingMessage } from 'node:http';
import { LIMITS } from '../base/index.ts';
import type { AdminApi } from './api.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface AdminRequest {
  readonly method: 'GET' | 'POST';
  readonly query: URLSearchParams;
  /** Values of the path's `:name` segments, in order. */
  readonly params: readonly string[];
  /** The whole body; rejects with a 413 over `LIMITS.adminBodyBytes`. */
  body(): Promise<string>;
}

export interface Endpoint {
  /** `/workers/:index/restart`; a segment that starts with a colon matches anything but a slash. */
  readonly path: string;
  readonly methods: readonly ('GET' | 'POST')[];
  /** One line for the index. */
  readonly summary: string;
  /** True: answers whatever the Host header says (probes of load balancers and the kubelet). */
  readonly anyHost?: boolean;
  handle(request: AdminRequest, api: AdminApi): Answer | Promise<Answer>;
}

/** A fault that the caller can do something about. */
export class AdminError extends Error {
  readonly status: number;
  readonly code: string;
  readonly cure: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    cure: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.cure = cure;
    this.headers = headers;
  }
}

export function json(value: unknown, status = 200): Answer {
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(value, null, 2)}\n`,
  };
}

export function text(body: string, status = 200): Answer {
  return {
    status,
    contentType: 'text/plain; charset=utf-8',
    body: body.endsWith('\n') || body === '' ? body : `${body}\n`,
  };
}

export function errorAnswer(error: AdminError): Answer {
  const { code, message, cure, status, headers } = error;
  return { ...json({ error: { code, message, cure } }, status), headers };
}

/** The `format` parameter, one of `allowed`; the first is the default. */
export function formatOf<T extends string>(query: URLSearchParams, allowed: readonly [T, ...T[]]): T {
  const format = query.get('format');
  if (format === null) return allowed[0];
  const found = allowed.find((name) => name === format);
  if (found !== undefined) return found;
  throw new AdminError(
    400,
    'bad-format',
    `format=${format} is not known`,
    `use format=${allowed.join(' or ')}`,
  );
}

/** A whole number from the query, or `fallback` when it is absent. */
export function integerOf(
  query: URLSearchParams,
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const value = query.get(name);
  if (value === null) return fallback;
  const number = /^[0-9]{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new AdminError(
    400,
    'bad-number',
    `${name}=${value} is not a number from ${min} to ${max}`,
    `give ${name}=${fallback}, say`,
  );
}

/** Not by `for await`: leaving such a loop early destroys the socket, and with it the answer. */
export function readBody(message: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    message.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LIMITS.adminBodyBytes) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      reject(
        new AdminError(
          413,
          'body-too-large',
          `the body is over ${LIMITS.adminBodyBytes} bytes`,
          'send a smaller body; no admin call needs more',
        ),
      );
    });
    message.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    message.on('error', reject);
  });
}
