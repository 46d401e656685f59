/** Endpoints that say their port, and clients that say what they got. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { TestContext } from 'node:test';
import { httpBackend } from '../kit/raw.ts';

export interface Endpoint {
  readonly port: number;
  /** Every answer from now on. */
  status: number;
  /** Before every answer, in ms. */
  delayMs: number;
}

export async function endpoints(t: TestContext, count: number): Promise<Endpoint[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const backend = await httpBackend((_request, response) => {
        const answer = (): void => {
          response.statusCode = made.status;
          response.end(String(made.port));
        };
        if (made.delayMs === 0) answer();
        else setTimeout(answer, made.delayMs);
      });
      const made: Endpoint = { port: backend.port, status: 200, delayMs: 0 };
      t.after(() => backend.close());
      return made;
    }),
  );
}

export interface Answer {
  readonly status: number;
  readonly port: number;
  readonly body: string;
  readonly cookies: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
}

export async function ask(port: number, path = '/', headers: Record<string, string> = {}): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ port, path, headers, agent: false }, resolve).on('error', reject).end();
  });
  let body = '';
  for await (const chunk of response) body += String(chunk);
  const { headers: got, statusCode: status = 0 } = response;
  const { 'set-cookie': cookies = [], 'x-request-id': requestId } = got;
  return { status, port: Number(body), body, cookies, headers: got, requestId: String(requestId) };
}

/** `{ address: …, more }`, as in the list of a service's endpoints. */
export function listed(of: readonly Endpoint[], more: (i: number) => string): string {
  return of.map(({ port }, i) => `{ address: 127.0.0.1:${port}, ${more(i)} }`).join(', ');
}
