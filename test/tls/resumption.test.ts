/** Session resumption: on whichever worker, across key rotations, and never past a withdrawn trust. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { encodeSecrets } from '../../src/config/secrets.ts';
import { createCa, issueCertificate, loadedSecrets, missingOpenssl } from '../kit/certs.ts';
import { secretsOf, shake, TLS_DEFAULTS, withTerminator } from './harness.ts';

const ca = createCa({ commonName: 'server root' });
const clients = createCa({ commonName: 'client root' });
const others = createCa({ commonName: 'other client root' });
const web = issueCertificate(ca, { commonName: 'web.shop', dnsNames: ['web.shop'] });
const cart = issueCertificate(ca, { commonName: 'cart.shop', dnsNames: ['cart.shop'] });
const client = issueCertificate(clients, { commonName: 'cart', uris: ['spiffe://shop/ns/default/sa/cart'] });
const loaded = await loadedSecrets({ web, cart }, { clients });
const key = (byte: number) => new Uint8Array(48).fill(byte);
const secrets = (...keys: number[]) => secretsOf({ ...loaded, ticketKeys: keys.map(key) });
const own = { ca: ca.certPem, cert: client.certPem, key: client.keyPem, servername: 'cart.shop' };
const mutual = { certificates: ['web', 'cart'], clientAuth: 'require', clientCa: 'clients' } as const;

async function onWorker(fn: (port: number) => Promise<void>): Promise<void> {
  const worker = new Worker(new URL('./resumption-worker.ts', import.meta.url), {
    workerData: { secrets: encodeSecrets(secrets(1)), tls: { ...TLS_DEFAULTS, ...mutual } },
  });
  try {
    const [port] = (await once(worker, 'message')) as [number];
    await fn(port);
  } finally {
    await worker.terminate();
  }
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  const options = { ...own, maxVersion };

  test(`a session made on one worker resumes on another, identity included, ${maxVersion}`, async () => {
    await onWorker(async (first) => {
      await onWorker(async (second) => {
        const full = await shake(first, options);
        assert.equal(full.resumed, false);
        assert.ok(full.session);
        const resumed = await shake(second, { ...options, session: full.session });
        assert.equal(resumed.resumed, true);
        assert.equal(resumed.data, 'spiffe://shop/ns/default/sa/cart');
      });
    });
  });

  test(`sessions outlive a rotation of ticket keys, but not two, ${maxVersion}`, async () => {
    await withTerminator({ secrets: secrets(1, 2), tls: mutual }, async (h) => {
      const full = await shake(h.port, options);
      assert.ok(full.session);
      for (const [keys, resumed] of [
        [[1, 2], true],
        [[2, 3, 1], true],
        [[3, 4, 2], false],
      ] as const) {
        assert.equal(h.terminator.update(secrets(...keys)), null);
        const view = await shake(h.port, { ...options, session: full.session });
        assert.equal(view.data, 'hello');
        assert.equal(view.resumed, resumed, `keys ${keys}`);
      }
    });
  });

  test(`a session resumes though its ClientHello comes in pieces, ${maxVersion}`, async () => {
    await withTerminator({ secrets: secrets(1, 2), tls: mutual, headBytes: 30 }, async (h) => {
      const full = await shake(h.port, options);
      assert.equal(full.serial, cart.serial);
      assert.ok(full.session);
      assert.equal((await shake(h.port, { ...options, session: full.session })).resumed, true);
    });
  });

  test(`a ticket of the key to come is accepted before its turn, ${maxVersion}`, async () => {
    await withTerminator({ secrets: secrets(2, 3, 1), tls: mutual }, async (ahead) => {
      const full = await shake(ahead.port, options);
      assert.ok(full.session);
      await withTerminator({ secrets: secrets(1, 2), tls: mutual }, async (behind) => {
        const view = await shake(behind.port, { ...options, session: full.session as Buffer });
        assert.equal(view.resumed, true);
      });
    });
  });

  test(`a client whose CA was withdrawn can't resume, ${maxVersion}`, async () => {
    const without = await loadedSecrets({ web, cart }, { clients: others });
    const swapped = secretsOf({ ...without, ticketKeys: [key(1)] });
    for (const clientAuth of ['request', 'require'] as const) {
      await withTerminator({ secrets: secrets(1), tls: { ...mutual, clientAuth } }, async (h) => {
        const full = await shake(h.port, options);
        assert.ok(full.session);
        assert.equal((await shake(h.port, { ...options, session: full.session })).resumed, true);
        await h.outcome();
        await h.outcome();
        assert.equal(h.terminator.update(swapped), null);
        const view = await shake(h.port, { ...options, session: full.session });
        assert.equal(view.data, '');
        const outcome = await h.outcome();
        assert.equal(outcome.kind === 'failure' && outcome.code, 'client-certificate-invalid');
      });
    }
  });

  test(`a session of a laxer mode or another listener is worth nothing, ${maxVersion}`, async () => {
    await withTerminator({ secrets: secrets(1), tls: { ...mutual, clientAuth: 'request' } }, async (lax) => {
      const anonymous = { ca: ca.certPem, servername: 'cart.shop', maxVersion };
      const full = await shake(lax.port, anonymous);
      assert.ok(full.session);
      await withTerminator({ secrets: secrets(1), tls: mutual }, async (strict) => {
        const view = await shake(strict.port, { ...anonymous, session: full.session as Buffer });
        assert.equal(view.data, '');
        const outcome = await strict.outcome();
        assert.equal(outcome.kind === 'failure' && outcome.code, 'client-certificate-missing');
      });
      const elsewhere = {
        secrets: secrets(1),
        listener: 'admin',
        tls: { ...mutual, clientAuth: 'request' as const },
      };
      await withTerminator(elsewhere, async (other) => {
        const view = await shake(other.port, { ...anonymous, session: full.session as Buffer });
        assert.equal(view.data, 'hello');
        assert.equal(view.resumed, false);
      });
    });
  });
}

for (const version of ['-tls1_2', '-tls1_3']) {
  test(`openssl s_client resumes across workers, ${version}`, { skip: missingOpenssl() }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'outboard-tls-'));
    const file = (name: string, text = '') => {
      if (text) writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const identity = ['-cert', file('c.pem', client.certPem), '-key', file('c.key', client.keyPem)];
    const trust = ['-CAfile', file('ca.pem', ca.certPem), '-servername', 'cart.shop', version, ...identity];
    const run = (port: number, ...more: string[]) => {
      const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...trust, ...more];
      return spawnSync('openssl', args, { input: '', encoding: 'utf8', timeout: 5_000 }).stdout;
    };
    try {
      await onWorker(async (first) => {
        await onWorker(async (second) => {
          assert.match(run(first, '-sess_out', file('s')), /New, TLSv1/);
          const resumed = run(second, '-sess_in', file('s'));
          assert.match(resumed, /Reused, TLSv1/);
          assert.match(resumed, /spiffe:\/\/shop\/ns\/default\/sa\/cart/);
        });
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
