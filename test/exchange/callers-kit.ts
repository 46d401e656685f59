/** A proxy between two callers and an endpoint that is told when to answer, and what the ledger knows of the callers. */
import assert from 'node:assert/strict';
import type { MovedClock } from '../http2-attacks/kit.ts';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';

export const POD = '127.0.0.3';
export const OTHER = '127.0.0.4';
export const get = (path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
export const answered = (text: string): boolean => text.includes('\r\n\r\n');

/** An endpoint that answers `/held…` when the test lets it, and says in which order requests came. */
export async function backend() {
  const held: (() => void)[] = [];
  const paths: string[] = [];
  const made = await httpBackend((request, response) => {
    const path = request.url ?? '';
    paths.push(path);
    if (path.startsWith('/held')) held.push(() => response.end('ok'));
    else response.end('ok');
  });
  return {
    port: made.port,
    paths,
    held,
    release(): void {
      for (const answer of held.splice(0)) answer();
    },
  };
}

export function withCallers<T>(
  port: number,
  callers: string,
  use: (proxy: TestProxy) => Promise<T>,
  parts: Parameters<typeof oneService>[1] & { clock?: MovedClock } = {},
): Promise<T> {
  const { clock, ...sections } = parts;
  const yaml = `${oneService([port], sections)}callers: { ${callers} }\n`;
  return withProxy(yaml, use, clock === undefined ? {} : { clock });
}

export async function isReset(port: number, from: string): Promise<boolean> {
  const client = await RawClient.connect(port, from).catch(() => null);
  if (client === null) return true;
  client.send(get());
  await Promise.race([client.untilClosed(), client.until(answered).catch(() => '')]);
  const reset = client.closed && client.text === '';
  client.destroy();
  return reset;
}

export function caller(proxy: TestProxy, address: string) {
  const found = proxy.ledger.callers.read(0, 64).find((each) => each.address === address);
  assert.ok(found, `${address} is known`);
  return found;
}
