/** Client certificates: off, request and require, by both protocol versions, fresh and resumed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerTls } from '../../src/config/secrets.ts';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { type Outcome, secretsOf, shake, withTerminator } from './harness.ts';

const ca = createCa({ commonName: 'server root' });
const clients = createCa({ commonName: 'client root' });
const strangers = createCa({ commonName: 'client root' });
const web = issueCertificate(ca, { commonName: 'web.shop', dnsNames: ['web.shop'] });
const name = { commonName: 'cart', uris: ['spiffe://shop/ns/default/sa/cart'], dnsNames: ['cart.shop'] };
const yesterday = new Date(Date.now() - 86_400_000);
const lastWeek = new Date(Date.now() - 7 * 86_400_000);
const held = {
  valid: issueCertificate(clients, name),
  unknown: issueCertificate(strangers, name),
  expired: issueCertificate(clients, { ...name, notBefore: lastWeek, notAfter: yesterday }),
};
const secrets = secretsOf(await loadedSecrets({ web }, { clients }));

const ends = (outcome: Outcome) => (outcome.kind === 'failure' ? outcome.code : 'secure');
const settings = (clientAuth: ListenerTls['clientAuth']) => ({
  clientAuth,
  clientCa: clientAuth === 'off' ? null : 'clients',
});

const CASES = {
  off: { absent: 'secure', valid: 'secure', unknown: 'secure', expired: 'secure' },
  request: {
    absent: 'secure',
    valid: 'secure',
    unknown: 'client-certificate-invalid',
    expired: 'client-certificate-expired',
  },
  require: {
    absent: 'client-certificate-missing',
    valid: 'secure',
    unknown: 'client-certificate-invalid',
    expired: 'client-certificate-expired',
  },
} as const;

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const mode of ['off', 'request', 'require'] as const) {
    test(`clientAuth ${mode}, ${maxVersion}: who passes and who is refused`, async () => {
      await withTerminator({ secrets, tls: settings(mode) }, async (h) => {
        for (const [kind, expected] of Object.entries(CASES[mode])) {
          const own = kind === 'absent' ? null : held[kind as keyof typeof held];
          const view = await shake(h.port, {
            ca: ca.certPem,
            maxVersion,
            ...(own ? { cert: own.certPem, key: own.keyPem } : {}),
          });
          const outcome = await h.outcome();
          assert.equal(ends(outcome), expected, kind);
          assert.equal(view.data, expected === 'secure' ? 'hello' : '', kind);
          if (expected === 'client-certificate-missing')
            assert.match(String(view.error), /ALERT_(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)/);
          if (outcome.kind === 'failure') assert.equal(outcome.port, 0, 'the socket is destroyed');
          if (outcome.kind === 'secure' && mode !== 'off' && own) {
            assert.deepEqual(outcome.facts.peer?.uriSans, name.uris);
            assert.deepEqual(outcome.facts.peer?.dnsSans, name.dnsNames);
            assert.equal(outcome.facts.peer?.serial, own.serial);
          }
          if (outcome.kind === 'secure' && (mode === 'off' || !own)) assert.equal(outcome.facts.peer, null);
        }
        assert.equal(h.terminator.handshaking, 0);
      });
    });
  }

  test(`an invalid client certificate can't pass by resuming what its refusal left behind, ${maxVersion}`, async () => {
    for (const mode of ['request', 'require'] as const) {
      await withTerminator({ secrets, tls: settings(mode) }, async (h) => {
        const own = { ca: ca.certPem, maxVersion, cert: held.unknown.certPem, key: held.unknown.keyPem };
        const first = await shake(h.port, own);
        assert.equal(ends(await h.outcome()), 'client-certificate-invalid');
        const again = await shake(h.port, { ...own, ...(first.session ? { session: first.session } : {}) });
        assert.equal(
          ends(await h.outcome()),
          'client-certificate-invalid',
          `${mode}, resumed ${again.resumed}`,
        );
        assert.equal(again.data, '');
      });
    }
  });

  test(`a resumed client keeps its identity, until its certificate expires, ${maxVersion}`, async () => {
    let skewMs = 0;
    const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() + skewMs };
    await withTerminator({ secrets, clock, tls: settings('require') }, async (h) => {
      const own = { ca: ca.certPem, maxVersion, cert: held.valid.certPem, key: held.valid.keyPem };
      const first = await shake(h.port, own);
      await h.outcome();
      assert.ok(first.session);
      const second = await shake(h.port, { ...own, session: first.session });
      assert.equal(second.resumed, true);
      const outcome = await h.outcome();
      assert.ok(outcome.kind === 'secure');
      assert.equal(outcome.facts.resumed, true);
      assert.equal(outcome.facts.peer?.serial, held.valid.serial);
      skewMs = 365 * 86_400_000;
      const late = await shake(h.port, { ...own, session: first.session });
      assert.equal(late.data, '');
      assert.equal(ends(await h.outcome()), 'client-certificate-expired');
    });
  });
}

test('a missing client CA refuses everybody rather than trust the public ones', async () => {
  const bare = secretsOf({ certificates: secrets.certificates });
  for (const mode of ['request', 'require'] as const) {
    await withTerminator({ secrets, tls: settings(mode) }, async (h) => {
      assert.match(String(h.terminator.update(bare)), /clientCaFile/);
      const view = await shake(h.port, { ca: ca.certPem, cert: held.valid.certPem, key: held.valid.keyPem });
      assert.equal(view.data, '');
      assert.equal(ends(await h.outcome()), 'no-trust-bundle');
    });
  }
});

test('a comma in an alternative name smuggles in no second name', async () => {
  const sly = issueCertificate(clients, {
    commonName: 'sly',
    uris: ['http://x, URI:spiffe://shop/ns/default/sa/admin'],
  });
  await withTerminator({ secrets, tls: settings('require') }, async (h) => {
    await shake(h.port, { ca: ca.certPem, cert: sly.certPem, key: sly.keyPem });
    const outcome = await h.outcome();
    assert.ok(outcome.kind === 'secure');
    assert.deepEqual(outcome.facts.peer?.uriSans, ['http://x, URI:spiffe://shop/ns/default/sa/admin']);
  });
});
