/** What a client gets from the terminator: certificate, protocol, staple; and what a wrong client gets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as secureConnect } from 'node:tls';
import {
  createCa,
  issueCertificate,
  loadedSecrets,
  missingOpenssl,
  ocspResponse,
  withOcsp,
} from '../kit/certs.ts';
import { type Outcome, secretsOf, shake, withTerminator } from './harness.ts';

const ca = createCa({ commonName: 'test root' });
const intermediate = createCa({ commonName: 'test intermediate', parent: ca });
const issued = {
  web: issueCertificate(ca, { commonName: 'web.shop', dnsNames: ['web.shop'] }),
  webRsa: issueCertificate(ca, { commonName: 'web.shop', dnsNames: ['web.shop'], keyType: 'rsa' }),
  cart: issueCertificate(intermediate, { commonName: 'cart.shop', dnsNames: ['Cart.shop', '*.cart.shop'] }),
  cartRsa: issueCertificate(ca, { commonName: 'cart.shop', dnsNames: ['cart.shop'], keyType: 'rsa' }),
};
const { certificates } = await loadedSecrets(issued);
const secrets = secretsOf({ certificates });
const all = Object.keys(issued);
const trust = { ca: ca.certPem };
const failed = (outcome: Outcome) => (outcome.kind === 'failure' ? outcome.code : outcome.kind);

const CUTS = [
  ['the whole ClientHello at hand', undefined],
  ['a ClientHello cut short', 30],
] as const;

for (const [how, headBytes] of CUTS) {
  test(`the certificate follows the server name, ${how}`, async () => {
    const cases: [string | undefined, string][] = [
      ['web.shop', issued.web.serial],
      ['cart.shop', issued.cart.serial],
      ['CART.shop', issued.cart.serial],
      ['a.cart.shop', issued.cart.serial],
      ['a.b.cart.shop', issued.web.serial],
      ['nobody.example', issued.web.serial],
      [undefined, issued.web.serial],
    ];
    await withTerminator(
      { secrets, tls: { certificates: all }, ...(headBytes ? { headBytes } : {}) },
      async (h) => {
        for (const [servername, serial] of cases) {
          const view = await shake(h.port, { ...trust, ...(servername ? { servername } : {}) });
          assert.equal(view.error, null, String(servername));
          assert.equal(view.serial, serial, String(servername));
          assert.equal(view.data, 'hello');
          const outcome = await h.outcome();
          assert.ok(outcome.kind === 'secure');
          assert.equal(outcome.facts.sni, servername ?? '');
        }
        assert.equal(h.terminator.handshaking, 0);
      },
    );
  });
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`EC and RSA certificates of one name serve every client, ${maxVersion}`, async () => {
    const ecOnly = {
      sigalgs: 'ecdsa_secp256r1_sha256',
      ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256',
    };
    const rsaOnly = {
      sigalgs: 'rsa_pss_rsae_sha256',
      ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256',
    };
    await withTerminator({ secrets, tls: { certificates: all } }, async (h) => {
      for (const servername of ['web.shop', 'cart.shop', '']) {
        const ec = await shake(h.port, { rejectUnauthorized: false, maxVersion, servername, ...ecOnly });
        assert.equal(ec.keyType, 'ec', `${servername} ${ec.error}`);
        const rsa = await shake(h.port, { rejectUnauthorized: false, maxVersion, servername, ...rsaOnly });
        assert.equal(rsa.keyType, 'rsa', `${servername} ${rsa.error}`);
      }
    });
  });
}

test('ALPN picks by our preference, lets clients without it pass, and refuses the rest by an alert', async () => {
  await withTerminator({ secrets, tls: { alpn: ['h2', 'http/1.1'] } }, async (h) => {
    const both = await shake(h.port, { ...trust, ALPNProtocols: ['http/1.1', 'h2'] });
    assert.equal(both.alpn, 'h2');
    assert.equal(failed(await h.outcome()), 'secure');
    const none = await shake(h.port, trust);
    assert.equal(none.data, 'hello');
    const facts = await h.outcome();
    assert.equal(facts.kind === 'secure' && facts.facts.alpn, '');
    const other = await shake(h.port, { ...trust, ALPNProtocols: ['spdy/3'] });
    assert.equal(other.error, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    assert.equal(failed(await h.outcome()), 'no-application-protocol');
  });
});

test('a client below minProtocolVersion gets a protocol_version alert', async () => {
  await withTerminator({ secrets, tls: { minProtocolVersion: 'TLSv1_3' } }, async (h) => {
    const view = await shake(h.port, { ...trust, maxVersion: 'TLSv1.2' });
    assert.equal(view.error, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    assert.equal(failed(await h.outcome()), 'protocol-version');
  });
});

test('a client that does not trust the certificate is told apart', async () => {
  await withTerminator({ secrets }, async (h) => {
    const stranger = createCa({ commonName: 'another root' });
    const view = await shake(h.port, { ca: stranger.certPem, maxVersion: 'TLSv1.2' });
    assert.equal(view.error, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    await h.outcome();
  });
});

for (const [what, bytes] of [
  ['plain HTTP', 'GET / HTTP/1.1\r\nHost: web.shop\r\n\r\n'],
  ['garbage', '\x16\x03\x01\xff\xff\x01\x00\x00\x05hello'],
  ['a TLS record that is no handshake', '\x17\x03\x03\x00\x05hello'],
  [
    'a ClientHello with a wrong extension length',
    `\x16\x03\x01\x00\x31\x01\x00\x00\x2d\x03\x03${'r'.repeat(32)}\x00\x00\x02\x13\x01\x01\x00\x00\x09\x00\x00`,
  ],
] as const) {
  test(`${what} on a TLS port is a coded failure`, async () => {
    await withTerminator({ secrets }, async (h) => {
      const socket = connect(h.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.write(bytes, 'latin1');
      socket.end();
      const outcome = await h.outcome();
      assert.equal(outcome.kind, 'failure');
      assert.match(failed(outcome), /^(not-tls|handshake|disconnected)$/);
      if (what === 'plain HTTP') assert.equal(failed(outcome), 'not-tls');
      assert.equal(h.terminator.handshaking, 0);
    });
  });
}

test('a client that goes away in the handshake is counted as gone', async () => {
  await withTerminator({ secrets }, async (h) => {
    const socket = connect(h.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(Buffer.from([22, 3, 1, 1, 0, 1, 0, 0]));
    await once(socket, 'connect');
    socket.end();
    assert.equal(failed(await h.outcome()), 'disconnected');
  });
});

test('a client may close its side and still be answered', async () => {
  await withTerminator({ secrets, answerAfterEnd: true }, async (h) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = secureConnect({
        host: '127.0.0.1',
        port: h.port,
        maxVersion,
        rejectUnauthorized: false,
      });
      socket.end('request');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      assert.equal(answer.toString(), 'hello');
      await once(socket, 'close');
    }
  });
});

test('a handshake that trickles in ends at the timeout all the same', async () => {
  await withTerminator({ secrets, handshakeTimeoutMs: 150 }, async (h) => {
    const socket = connect(h.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(Buffer.from([22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3]));
    const drip = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(drip));
    socket.resume();
    assert.equal(failed(await h.outcome()), 'handshake-timeout');
    await once(socket, 'close');
  });
});

test('without a loaded certificate the connection is refused, and served once one arrives', async () => {
  await withTerminator({ secrets: secretsOf({}) }, async (h) => {
    const view = await shake(h.port, trust);
    assert.notEqual(view.error, null);
    assert.equal(failed(await h.outcome()), 'no-certificate');
    assert.equal(h.terminator.update(secrets), null);
    assert.equal((await shake(h.port, trust)).data, 'hello');
    await h.outcome();
    assert.match(String(h.terminator.update(secretsOf({}))), /no certificate of listener web/);
    assert.equal((await shake(h.port, trust)).data, 'hello', 'the last good certificate stays');
  });
});

test('a closed terminator refuses new connections', async () => {
  await withTerminator({ secrets }, async (h) => {
    h.terminator.close();
    await shake(h.port, trust);
    assert.equal(failed(await h.outcome()), 'closed');
  });
});

for (const [how, headBytes] of CUTS) {
  test(`the OCSP response is stapled for the certificate shown, ${how}`, {
    skip: missingOpenssl(),
  }, async () => {
    const web = ocspResponse(ca, issued.web);
    const cart = ocspResponse(intermediate, issued.cart);
    const stapled = certificates.map((secret) =>
      secret.name === 'web'
        ? withOcsp(secret, web)
        : secret.name === 'cart'
          ? withOcsp(secret, cart)
          : secret,
    );
    const options = {
      secrets: secretsOf({ certificates: stapled }),
      tls: { certificates: ['web', 'cart'] },
      ...(headBytes ? { headBytes } : {}),
    };
    await withTerminator(options, async (h) => {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const byDefault = await shake(h.port, { ...trust, maxVersion, requestOCSP: true });
        assert.deepEqual(byDefault.staple, web);
        const byName = await shake(h.port, {
          ...trust,
          maxVersion,
          requestOCSP: true,
          servername: 'x.cart.shop',
        });
        assert.deepEqual(byName.staple, cart);
        const unasked = await shake(h.port, { ...trust, maxVersion });
        assert.equal(unasked.staple, null);
      }
    });
  });
}
