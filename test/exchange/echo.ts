/** Backends that answer with what they were sent, and clients that read it. */
import assert from 'node:assert/strict';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { type HttpBackend, httpBackend, oneService, RawClient } from '../kit/raw.ts';

export interface Seen {
  readonly backend: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A backend that answers with what it was sent. */
export function echo(name = 'a'): Promise<HttpBackend> {
  return httpBackend((request, response) => {
    const { method, url, headers } = request;
    response.setHeader('x-from', name);
    response.setHeader('content-type', 'application/json');
    const body = JSON.stringify({ backend: name, method, url, headers });
    response.setHeader('content-length', Buffer.byteLength(body));
    response.end(body);
  });
}

export async function ask(proxy: TestProxy, target: string, ...fields: string[]): Promise<Answer> {
  const client = await RawClient.connect(proxy.port);
  const host = fields.some((field) => /^host:/i.test(field)) ? [] : ['Host: shop'];
  client.send(`GET ${target} HTTP/1.1\r\n${[...host, ...fields, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const answer = parse(await client.untilEnd());
  client.destroy();
  return answer;
}

export function parse(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const [line = '', ...fields] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    fields.map((field): [string, string] => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(line.slice(9, 12)), headers, body: text.slice(end + 4) };
}

export async function seen(proxy: TestProxy, target: string, ...fields: string[]): Promise<Seen> {
  const answer = await ask(proxy, target, ...fields);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Seen;
}

export async function withEcho(
  parts: Parameters<typeof oneService>[1],
  use: (proxy: TestProxy) => Promise<void>,
  more = '',
): Promise<void> {
  const backend = await echo();
  await withProxy(oneService([backend.port], parts) + more, use);
  await backend.close();
}
