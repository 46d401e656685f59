/**
 * Backends. At first all are well; after `/break` (on the first port, which stays well) the last one stalls, refuses
 * connections, resets them on a request, answers 503, is slow, does for each request what a seed draws, or nothing, so that a proxy meets
 * the fault warm and with connections open. `/counts` tells the requests that reached each since then.
 * Arguments: FAULT PORT,PORT,… SEED
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export const FAULTS = ['stall', 'refuse', 'reset', '503', 'slow', 'mixed'] as const;
export type Fault = (typeof FAULTS)[number] | 'none';

/** How late a slow answer is. */
const SLOW_MS = 100;
/** Of `mixed`: up to which draw a request meets which fault; the rest is answered well. */
const MIX: readonly (readonly [upTo: number, Fault])[] = [
  [0.15, '503'],
  [0.25, 'reset'],
  [0.35, 'slow'],
  [0.4, 'stall'],
];

/** What each request meets that comes to a broken backend, in their order; null: nothing. The same for the same seed. */
export function* faultsOf(fault: Fault, seed: number): Generator<Fault | null, never> {
  let state = seed >>> 0;
  for (;;) {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const drawn = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    if (fault !== 'mixed') yield fault;
    else yield MIX.find(([upTo]) => drawn < upTo)?.[1] ?? null;
  }
}

function serve(fault: Fault, ports: readonly number[], seed: number): void {
  const counts = ports.map(() => 0);
  const coming = faultsOf(fault, seed);
  let broken = false;
  const servers = ports.map((port, index) =>
    createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
      if (index === 0 && request.url === '/counts') response.end(JSON.stringify(counts));
      else if (index === 0 && request.url === '/break') {
        breakLast();
        response.end();
      } else {
        counts[index] = (counts[index] ?? 0) + 1;
        const met = broken && index === ports.length - 1 ? coming.next().value : null;
        answer(request, response, met);
      }
    }).listen(port, '127.0.0.1'),
  );

  function breakLast(): void {
    broken = true;
    counts.fill(0);
    const last = servers.at(-1);
    if (fault !== 'refuse' || last === undefined) return;
    last.close();
    last.closeAllConnections();
  }
}

function answer(request: IncomingMessage, response: ServerResponse, fault: Fault | null): void {
  const body = 'x'.repeat(64);
  if (fault === 'reset') request.socket.resetAndDestroy();
  else if (fault === '503') response.writeHead(503).end();
  else if (fault === 'slow') setTimeout(() => response.end(body), SLOW_MS);
  else if (fault !== 'stall') response.end(body);
}

if (import.meta.main) {
  const [fault = '503', ports = '', seed = '1'] = process.argv.slice(2);
  serve(fault as Fault, ports.split(',').map(Number), Number(seed));
}
