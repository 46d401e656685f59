/** An endpoint that answers at once, and a client that asks once: for tests of what stands between them. */
import { type RawBackend, RawClient, rawBackend } from '../kit/raw.ts';

export const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A request without a body has come. */
export function complete(text: string): boolean {
  return text.endsWith('\r\n\r\n');
}

/** Answers every request with the same bytes. */
export function answering(wire = OK): Promise<RawBackend> {
  return rawBackend((upstream) => {
    upstream.socket.on('data', () => upstream.send(wire));
    upstream.socket.on('end', () => upstream.socket.end());
  });
}

/** Sends one request on a connection of its own and returns the answer. */
export async function ask(proxy: { readonly port: number }, wire = GET): Promise<string> {
  const client = await RawClient.connect(proxy.port);
  const text = await client.send(wire).until((t) => /ok$|\nrequest \S+\n$/.test(t));
  client.destroy();
  return text;
}
