/** Starting: when it is ready, and every way in which it is refused. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCa, issueCertificate } from '../../src/controlplane/identity/index.ts';
import { StartError, type Supervisor } from '../../src/supervisor.ts';
import { admin, adminJson, askAll, bench, config } from './kit.ts';

const TIMEOUT = { timeout: 30_000 };

async function occupy(t: TestContext, options: { reusePort: boolean }): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0, ...options }, resolve));
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

async function refusal(started: Promise<Supervisor>): Promise<string> {
  try {
    await (await started).ready;
  } catch (error) {
    assert.ok(error instanceof StartError, String(error));
    return error.message;
  }
  throw new Error('it started');
}

test('it is ready when every worker listens, all on one port', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const supervisor = await start(config({ workers: 3 }));
  await supervisor.ready;
  assert.ok((supervisor.address('web')?.port ?? 0) > 0);
  assert.equal(supervisor.address('nope'), undefined);
  const infos = await askAll(supervisor, 3);
  assert.deepEqual(infos.map(({ column }) => column).sort(), [0, 1, 2]);
  assert.ok(infos.every(({ version }) => version === 1));
  assert.equal((await admin(supervisor, '/ready')).status, 200);
  const workers = await adminJson<{ state: string }[]>(supervisor, '/workers');
  assert.deepEqual(
    workers.map(({ state }) => state),
    ['ready', 'ready', 'ready'],
  );
});

test('a port that somebody else has is one line with listener, address and cure', TIMEOUT, async (t) => {
  const { start } = bench(t);
  for (const reusePort of [false, true]) {
    const port = await occupy(t, { reusePort });
    const listeners = `{ name: web, address: "127.0.0.1:${port}" }`;
    const message = await refusal(start(config({ listeners })));
    assert.equal(message.split('\n').length, 1, message);
    assert.match(
      message,
      new RegExp(`^listener web: cannot listen on 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\); .*stop it`),
    );
  }
});

test('every taken port is told at once', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const ports = [await occupy(t, { reusePort: false }), await occupy(t, { reusePort: false })];
  const listeners = ports.map((port, i) => `{ name: l${i}, address: "127.0.0.1:${port}" }`).join(', ');
  const message = await refusal(start(config({ listeners })));
  assert.match(message, /listener l0: .*\nlistener l1: /);
});

test('a file with faults tells all of them', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const message = await refusal(start('listeners: [{ name: 5 }]\nrouts: []\n'));
  assert.match(message, /outboard\.yaml:1:/);
  assert.match(message, /routs/);
});

test('a file that is not there is told', TIMEOUT, async (t) => {
  const { start, directory } = bench(t);
  const message = await refusal(start('', { configFile: join(directory, 'none.yaml') }));
  assert.match(message, /none\.yaml.*ENOENT/);
});

test('a certificate that does not fit its key keeps it from starting', TIMEOUT, async (t) => {
  const { start, directory } = bench(t);
  const ca = createCa({ commonName: 'mesh' });
  const [one, other] = [1, 2].map(() => issueCertificate(ca, { commonName: 'web', dnsNames: ['web.shop'] }));
  writeFileSync(join(directory, 'web.pem'), one?.certPem ?? '');
  writeFileSync(join(directory, 'web.key'), other?.keyPem ?? '');
  const tls = 'tls: { certificates: [{ certFile: web.pem, keyFile: web.key }] }';
  const message = await refusal(
    start(config({ listeners: `{ name: web, address: "127.0.0.1:0", ${tls} }` })),
  );
  assert.match(message, /web\.(pem|key): error: [\s\S]*cure: /);
});

test('relative paths start at the directory that is given', TIMEOUT, async (t) => {
  const { start, directory } = bench(t);
  const ca = createCa({ commonName: 'mesh' });
  const { certPem, keyPem, serial } = issueCertificate(ca, { commonName: 'web', dnsNames: ['web.shop'] });
  const secrets = join(directory, 'secrets');
  mkdirSync(secrets);
  writeFileSync(join(secrets, 'web.pem'), certPem);
  writeFileSync(join(secrets, 'web.key'), keyPem);
  const tls = 'tls: { certificates: [{ certFile: web.pem, keyFile: web.key }] }';
  const yaml = config({ workers: 1, listeners: `{ name: web, address: "127.0.0.1:0", ${tls} }` });
  const supervisor = await start(yaml, { directory: secrets });
  await supervisor.ready;
  const [info] = await askAll(supervisor, 1);
  assert.deepEqual([info?.serials, info?.secretKeys], [[serial], true]);
  const shown = await (await admin(supervisor, '/config')).text();
  assert.match(shown, /web\.pem/);
  assert.doesNotMatch(shown, /PRIVATE KEY/);
});

test('a worker that ends before it listens keeps it from starting', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const message = await refusal(start(config({ more: 'tracing: { serviceName: crash-on-start }' })));
  assert.match(message, /worker 0 could not start: Error: crashed on start/);
});

test('a worker that cannot listen keeps it from starting', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const message = await refusal(start(config({ listeners: '{ name: faulty, address: "127.0.0.1:0" }' })));
  assert.equal(message, 'listener faulty: out of order');
});

test('a taken admin address is told with its cure', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const port = await occupy(t, { reusePort: false });
  const message = await refusal(start(config({}), { overrides: { admin: { host: '127.0.0.1', port } } }));
  assert.match(message, new RegExp(`^admin: cannot listen on 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\)`));
});

test('the command line takes precedence over the file', TIMEOUT, async (t) => {
  const { start } = bench(t);
  const overrides = { workers: 1, otlpEndpoint: 'http://127.0.0.1:1' };
  const supervisor = await start(config({ workers: 3 }), { overrides });
  await supervisor.ready;
  assert.equal((await adminJson<unknown[]>(supervisor, '/workers')).length, 1);
  assert.match(await (await admin(supervisor, '/config')).text(), /http:\/\/127\.0\.0\.1:1/);
});
