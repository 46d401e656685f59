/** Certificates that change while the node runs. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCa, issueCertificate } from '../../src/controlplane/identity/index.ts';
import { admin, askAll, bench, config } from './kit.ts';

const TIMEOUT = { timeout: 30_000 };
const TLS = 'tls: { certificates: [{ certFile: web.pem, keyFile: web.key }] }';
const YAML = config({ listeners: `{ name: web, address: "127.0.0.1:0", ${TLS} }` });
const ca = createCa({ commonName: 'mesh' });

function issue(directory: string): string {
  const { certPem, keyPem, serial } = issueCertificate(ca, { commonName: 'web', dnsNames: ['web.shop'] });
  for (const [name, text] of [
    ['web.pem', certPem],
    ['web.key', keyPem],
  ] as const) {
    writeFileSync(join(directory, `${name}.new`), text);
    renameSync(join(directory, `${name}.new`), join(directory, name));
  }
  return serial;
}

test(
  'a new certificate reaches every worker, later ones too, without a new configuration',
  TIMEOUT,
  async (t) => {
    const { start, directory, log } = bench(t);
    const first = issue(directory);
    const supervisor = await start(YAML);
    await supervisor.ready;
    for (const info of await askAll(supervisor, 2)) assert.deepEqual(info.serials, [first]);
    for (let round = 2; round <= 4; round++) {
      const serial = issue(directory);
      await log.until(/^certificates loaded/, round);
      for (const info of await askAll(supervisor, 2)) {
        assert.deepEqual([info.serials, info.secretKeys, info.version], [[serial], true, 1]);
      }
    }
    supervisor.killWorker(0);
    await log.until(/^worker ended unexpectedly/);
    const [one, other] = await askAll(supervisor, 2);
    assert.deepEqual(one?.serials, other?.serials);
  },
);

test(
  'a key that does not fit is refused: the last good certificate serves, and it is told',
  TIMEOUT,
  async (t) => {
    const { start, directory, log } = bench(t);
    const serial = issue(directory);
    const supervisor = await start(YAML);
    await supervisor.ready;
    writeFileSync(join(directory, 'web.key'), issueCertificate(ca, { commonName: 'other' }).keyPem);
    await log.until(/^secret not usable/);
    for (const info of await askAll(supervisor, 2)) assert.deepEqual(info.serials, [serial]);
    assert.match(await (await admin(supervisor, '/metrics')).text(), /^outboard_secret_faults 1$/m);
    assert.equal((await supervisor.reload()).accepted, true, 'the last good one is enough for a reload');
    assert.ok(!JSON.stringify(log.entries).includes('PRIVATE KEY'));
  },
);

test('a reload that names a certificate that is not there is refused', TIMEOUT, async (t) => {
  const { start, directory, write } = bench(t);
  const serial = issue(directory);
  const supervisor = await start(YAML);
  await supervisor.ready;
  writeFileSync(join(directory, 'bad.pem'), 'no certificate');
  writeFileSync(join(directory, 'bad.key'), 'no key');
  write(YAML.replace('{ certFile: web.pem, keyFile: web.key }', '{ certFile: bad.pem, keyFile: bad.key }'));
  const result = await supervisor.reload();
  assert.equal(result.accepted, false);
  assert.match(result.faults.join('\n'), /bad\.pem/);
  for (const info of await askAll(supervisor, 2))
    assert.deepEqual([info.serials, info.version], [[serial], 1]);
});
