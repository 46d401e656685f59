/**
 * The ports of the demo, the same as in `config/demo.yaml` (a test compares them). They are fixed, so that a
 * reader can follow them from the file to the page; so each is tried before anything starts. The
 * try goes without SO_REUSEPORT: with it, two demos would share their ports and answer for one another.
 */
import { createServer } from 'node:net';

export const HOST = '127.0.0.1';
export const PORTS = { web: 8080, webTls: 8443, mesh: 8081, admin: 15000 } as const;
/** The shop's own processes, which only the proxy calls. */
export const SHOP_PORTS = { web: [9101], cart: [9111, 9112], stock: [9121, 9122, 9123] } as const;

/** One line that names every port somebody else holds and the cure; null when all are free. */
export async function takenPorts(ports: readonly number[] = allPorts()): Promise<string | null> {
  const answers = await Promise.all(ports.map(async (port) => ({ port, code: await probe(port) })));
  const taken = answers.filter(({ code }) => code !== null);
  const first = taken[0];
  if (first === undefined) return null;
  if (first.code !== 'EADDRINUSE') return `can't listen on ${HOST}:${first.port}: ${first.code}`;
  const list = taken.map(({ port }) => port).join(', ');
  const subject = taken.length === 1 ? `port ${list} is taken` : `ports ${list} are taken`;
  return `${subject} on ${HOST}: stop what listens there, perhaps another demo (find it: lsof -nP -iTCP:${first.port} -sTCP:LISTEN)`;
}

export function allPorts(): number[] {
  return [...Object.values(PORTS), ...Object.values(SHOP_PORTS).flat()];
}

function probe(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, HOST, () => server.close(() => resolve(null)));
  });
}
