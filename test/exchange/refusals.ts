/** What every refusal of a bad request has in common. */
import assert from 'node:assert/strict';
import type { Decision } from '../../src/telemetry/index.ts';
import type { TestProxy } from '../kit/proxy.ts';

export const get = (...fields: string[]): string => `GET / HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`;
export const post = (...fields: string[]): string =>
  `POST / HTTP/1.1\r\nHost: x\r\n${fields.join('\r\n')}\r\n\r\n`;
export const chunked = (body: string): string => post('Transfer-Encoding: chunked') + body;

export function assertRefusal(text: string, status: number, code: string): void {
  assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
  assert.match(text, new RegExp(`\\r\\n\\r\\n${status} ${code} \\(DPE\\)`));
  assert.match(text, /\r\nconnection: close\r\n/i);
}

export async function assertOneDecision(proxy: TestProxy, status: number, code: string): Promise<Decision> {
  const decision = await proxy.decision();
  assert.deepEqual([decision.status, decision.code, decision.flags], [status, code, 'DPE']);
  assert.notEqual(decision.cure, '');
  return decision;
}
