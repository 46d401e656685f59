/** CPU of the proxy per TLS connection with one request on it, full or resumed. */
import { fileURLToPath } from 'node:url';
import type { Bench } from '../harness/bench.ts';
import type { Subject } from '../harness/subjects.ts';
import { watched } from '../harness/trials.ts';
import type { HandshakeResult } from '../load/handshakes.ts';

const CLIENT = fileURLToPath(new URL('../load/handshakes.ts', import.meta.url));
/** About three seconds of a client's work. */
const CONNECTIONS = 3_000;
const TIMEOUT_MS = 60_000;

export async function handshakes(
  bench: Bench,
  subject: Subject,
  kind: 'full' | 'resume',
): Promise<{ micros: number; note: string | null }> {
  const port = new URL(subject.urls.tls as string).port;
  const command = [process.execPath, CLIENT, port, String(CONNECTIONS), kind];
  const { result, usage } = await watched(
    bench,
    subject,
    async () =>
      JSON.parse(
        await bench.processes.run(command, { core: bench.cores.load, timeoutMs: TIMEOUT_MS }),
      ) as HandshakeResult,
  );
  const micros = (usage.cpu / result.connections) * 1e6;
  bench.say(
    `TLS connection per request (${kind}), ${subject.name}: ${micros.toFixed(0)} µs CPU each, ${result.resumed} of ${result.connections} resumed`,
  );
  const short = kind === 'resume' && result.resumed < result.connections * 0.99;
  const fault =
    result.failed > 0 ? `${result.failed} failed` : short ? `only ${result.resumed} resumed` : null;
  return { micros, note: fault && `handshakes ${kind}, ${subject.name}: ${fault} of ${result.connections}` };
}
