/** Requests and settings that the tests of retries share. */
import type { TestProxy } from '../kit/proxy.ts';
import { RawClient } from '../kit/raw.ts';

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
export const FAILED = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy';
/** A budget that never stands in the way. */
export const FREELY = 'retryBudget: { percent: 100, minRetryRate: { count: 1000 } }';

export function request(method: string, body = '', ...fields: string[]): string {
  const length = method === 'GET' ? [] : [`Content-Length: ${body.length}`];
  return `${method} / HTTP/1.1\r\n${['Host: x', ...length, ...fields].join('\r\n')}\r\n\r\n${body}`;
}

/** Sends one request on a connection of its own and returns the whole answer, its chunks joined. */
export async function ask(proxy: TestProxy, wire: string): Promise<string> {
  const client = await RawClient.connect(proxy.port);
  const text = await client.send(wire.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')).untilEnd();
  client.destroy();
  return text.replace(/(?<=\r\n)[0-9a-f]+\r\n([^\r]*)\r\n0\r\n\r\n$/, '$1');
}
