/**
 * The Compose demo on a real Docker engine, as a newcomer starts it, on free ports: pages answer, and a real Jaeger
 * holds the joined traces of `web` → `cart` → `stock`, a retried call among them. Takes a minute or two.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compose } from '../kit/peers.ts';

interface JaegerSpan {
  readonly spanID: string;
  readonly processID: string;
  readonly references: ReadonlyArray<{ readonly spanID: string }>;
  readonly tags: ReadonlyArray<{ readonly key: string; readonly value: unknown }>;
}
interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

const FILE = fileURLToPath(new URL('../../docker/compose.yaml', import.meta.url));
const { command, skip } = compose();

test('the Compose demo serves the shop and its traces are joined in Jaeger', {
  skip,
  timeout: 600_000,
}, async (t) => {
  const [shop = 0, admin = 0, jaeger = 0] = await freePorts(3);
  const project = `outboard-test-${process.pid}`;
  const run = (...args: string[]): Promise<void> =>
    execute([...command, '-p', project, '-f', FILE, ...args], {
      SHOP_PORT: String(shop),
      ADMIN_PORT: String(admin),
      JAEGER_PORT: String(jaeger),
    });
  t.after(() => run('down', '--volumes', '--timeout', '10'));
  await run('up', '--build', '--detach');

  await until('the proxy is ready', async () => (await get(admin, '/ready'))?.status === 200);
  await until('the page shows stock', async () => {
    const page = await get(shop, '/');
    return page?.status === 200 && (await page.text()).includes('<td>12<td>stock-');
  });
  for (let i = 0; i < 40; i += 1) assert.equal((await get(shop, '/'))?.status, 200);

  await until('a joined trace is in Jaeger', async () => (await traces(jaeger)).some(joined));
  await until('a retried call is in Jaeger', async () => (await traces(jaeger)).some(retried));
});

/** Every span but the root has its parent in the trace, and all three services are in it. */
function joined({ spans, processes }: JaegerTrace): boolean {
  const ids = new Set(spans.map(({ spanID }) => spanID));
  const roots = spans.filter(({ references }) => !references.some(({ spanID }) => ids.has(spanID)));
  const services = new Set(spans.map(({ processID }) => processes[processID]?.serviceName));
  return roots.length === 1 && ['web', 'cart', 'stock'].every((name) => services.has(name));
}

/** Two attempts of one request: one answered 503, one 200. */
function retried({ spans }: JaegerTrace): boolean {
  const attempts = spans.filter((span) => tag(span, 'span.kind') === 'client');
  return attempts.some(
    (failed) =>
      Number(tag(failed, 'http.response.status_code')) === 503 &&
      attempts.some(
        (good) =>
          Number(tag(good, 'http.response.status_code')) === 200 &&
          good.references[0]?.spanID === failed.references[0]?.spanID,
      ),
  );
}

function tag(span: JaegerSpan, name: string): unknown {
  return span.tags.find(({ key }) => key === name)?.value;
}

async function traces(port: number): Promise<readonly JaegerTrace[]> {
  const answer = await get(port, '/api/traces?service=web&limit=100');
  if (answer?.status !== 200) return [];
  const { data } = (await answer.json()) as { data: JaegerTrace[] | null };
  return data ?? [];
}

async function get(port: number, path: string): Promise<Response | null> {
  try {
    return await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) });
  } catch {
    return null;
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `not within two minutes: ${what}`);
    await wait(250);
  }
}

async function execute(
  [program = '', ...args]: readonly string[],
  env: Record<string, string>,
): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk).slice(-8_000);
    });
  }
  const [status] = await once(child, 'close');
  assert.equal(status, 0, `${program} ${args.join(' ')}\n${said}`);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}
