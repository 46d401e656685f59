/** TLS to endpoints: which certificates are accepted, why the others aren't, and that sessions resume. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createPlainServer, type TcpNetConnectOpts } from 'node:net';
import { test } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { FakeClock, systemClock } from '../../src/base/index.ts';
import type { SecretSet, UpstreamTls } from '../../src/config/secrets.ts';
import { createTlsOriginator, type TlsOriginator } from '../../src/dataplane/transport/tls-client.ts';
import { explainUpstreamTlsError } from '../../src/dataplane/transport/tls-error.ts';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { secretsOf } from './harness.ts';

const root = createCa({ commonName: 'mesh root' });
const other = createCa({ commonName: 'other root' });
const spiffe = 'spiffe://shop/ns/default/sa/cart';
const names = {
  commonName: 'cart.shop',
  dnsNames: ['cart.shop', '*.cart.shop'],
  uris: [spiffe],
  ipAddresses: ['127.0.0.1'],
};
const good = issueCertificate(root, names);
const client = issueCertificate(root, {
  commonName: 'outboard',
  uris: ['spiffe://shop/ns/default/sa/outboard'],
});
const secrets = secretsOf(await loadedSecrets({ client }, { root, other }));
const BASE: UpstreamTls = { sni: 'cart.shop', ca: 'root', subjectAltNames: [], certificate: null };

async function withEndpoint(options: TlsOptions, fn: (port: number) => Promise<void>): Promise<void> {
  const server = createServer({ cert: good.certPem, key: good.keyPem, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.end(socket.servername ? String(socket.servername) : 'no name');
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await fn((server.address() as { port: number }).port);
  } finally {
    server.close();
  }
}

function originator(tls: Partial<UpstreamTls>, set: SecretSet = secrets, clock = systemClock): TlsOriginator {
  return createTlsOriginator({ tls: { ...BASE, ...tls }, secrets: set, clock, alpn: [] });
}

interface Seen {
  readonly why: ReturnType<typeof explainUpstreamTlsError> | null;
  readonly data: string;
  readonly resumed: boolean;
}

function dial(from: TlsOriginator, port: number, endpoint = 'e'): Promise<Seen> {
  return new Promise((resolve) => {
    const target: TcpNetConnectOpts = { host: '127.0.0.1', port, allowHalfOpen: true };
    const socket: TLSSocket = from.connect(target, endpoint);
    let why: Seen['why'] = null;
    let data = '';
    let resumed = false;
    socket.on('secureConnect', () => {
      resumed = socket.isSessionReused();
    });
    socket.on('data', (chunk) => {
      data += chunk;
    });
    socket.on('error', (error) => {
      why = explainUpstreamTlsError(error);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve({ why, data, resumed }));
  });
}

test('names: subjectAltNames first, then sni, then the address dialled', async () => {
  const cases: [Partial<UpstreamTls>, string | null, string][] = [
    [{}, null, 'cart.shop'],
    [{ sni: 'a.cart.shop' }, null, 'a.cart.shop'],
    [{ sni: 'a.b.cart.shop' }, 'name-mismatch', ''],
    [{ sni: 'web.shop' }, 'name-mismatch', ''],
    [{ sni: 'web.shop', subjectAltNames: ['cart.shop'] }, null, 'web.shop'],
    [{ sni: null, subjectAltNames: ['nobody', spiffe] }, null, 'no name'],
    [{ subjectAltNames: [`${spiffe}x`] }, 'name-mismatch', ''],
    [{ subjectAltNames: ['spiffe://shop/ns/default/sa/*'] }, 'name-mismatch', ''],
    [{ sni: null }, null, 'no name'],
    [{ sni: '127.0.0.1' }, null, 'no name'],
    [{ sni: null, subjectAltNames: ['127.0.0.2'] }, 'name-mismatch', ''],
  ];
  await withEndpoint({}, async (port) => {
    for (const [tls, code, data] of cases) {
      const seen = await dial(originator(tls), port);
      assert.equal(seen.why?.code ?? null, code, JSON.stringify(tls));
      assert.equal(seen.data, data, JSON.stringify(tls));
    }
  });
});

test('a common name is no name', async () => {
  const bare = issueCertificate(root, { commonName: 'cart.shop' });
  await withEndpoint({ cert: bare.certPem, key: bare.keyPem }, async (port) => {
    const { why } = await dial(originator({}), port);
    assert.equal(why?.code, 'name-mismatch');
    assert.match(why?.detail ?? '', /no subjectAltName at all; expected cart\.shop; cure: /);
  });
});

test('each refusal says which it was, with its cure', async () => {
  const day = 86_400_000;
  const past = new Date(Date.now() - day);
  const future = new Date(Date.now() + day);
  const expired = issueCertificate(root, {
    ...names,
    notBefore: new Date(Date.now() - 2 * day),
    notAfter: past,
  });
  const early = issueCertificate(root, { ...names, notBefore: future });
  const self = createCa({ commonName: 'cart.shop' });
  const selfKey = self.key.export({ type: 'pkcs8', format: 'pem' }) as string;
  const cases: [TlsOptions, Partial<UpstreamTls>, string, RegExp][] = [
    [{ cert: expired.certPem, key: expired.keyPem }, {}, 'certificate-expired', /renew/],
    [{ cert: early.certPem, key: early.keyPem }, {}, 'certificate-not-yet-valid', /clocks/],
    [{}, { ca: 'other' }, 'unknown-ca', /tls\.caFile/],
    [{}, { ca: null }, 'unknown-ca', /tls\.caFile/],
    [{ cert: self.certPem, key: selfKey }, {}, 'unknown-ca', /tls\.caFile/],
    [
      { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      {},
      'no-shared-parameters',
      /TLS 1\.2/,
    ],
  ];
  for (const [options, tls, code, cure] of cases) {
    await withEndpoint(options, async (port) => {
      const { why } = await dial(originator(tls), port);
      assert.equal(why?.code, code, why?.detail ?? 'it was accepted');
      assert.match(why?.detail ?? '', cure);
    });
  }
});

test('an endpoint that speaks no TLS is named so', async () => {
  const server = createPlainServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { why } = await dial(originator({}), (server.address() as { port: number }).port);
  assert.equal(why?.code, 'not-tls');
  server.close();
});

test('an endpoint that closes in the handshake is noticed at once', async () => {
  const server = createPlainServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { why } = await dial(originator({}), (server.address() as { port: number }).port);
  assert.equal(why?.code, 'disconnected');
  server.close();
});

test('a client certificate is sent when named; without one the endpoint says what it misses', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    await withEndpoint({ requestCert: true, ca: root.certPem, maxVersion }, async (port) => {
      assert.equal((await dial(originator({ certificate: 'client' }), port)).data, 'cart.shop');
      const { why } = await dial(originator({}), port);
      assert.match(
        why?.code ?? '',
        maxVersion === 'TLSv1.2' ? /no-shared-parameters/ : /client-certificate-refused/,
      );
      assert.match(why?.detail ?? '', /tls\.certFile/);
    });
  }
});

test('a secret that is not loaded means no connection, never the public roots', () => {
  assert.equal(originator({ ca: 'missing' }).failure?.code, 'no-trust-bundle');
  assert.equal(originator({ certificate: 'missing' }).failure?.code, 'no-certificate');
  const late = originator({}, secretsOf({}));
  assert.equal(late.failure?.code, 'no-trust-bundle');
  assert.equal(late.update(secrets), null);
  assert.equal(late.failure, null);
  assert.equal(late.update(secretsOf({}))?.code, 'no-trust-bundle');
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`sessions resume per endpoint and end with the trust they were made under, ${maxVersion}`, async () => {
    const clock = new FakeClock(0, Date.now());
    await withEndpoint({ maxVersion }, async (port) => {
      const from = createTlsOriginator({ tls: BASE, secrets, clock, alpn: [] });
      assert.equal((await dial(from, port)).resumed, false);
      assert.equal((await dial(from, port)).resumed, true);
      assert.equal((await dial(from, port)).resumed, true);
      assert.equal((await dial(from, port, 'another')).resumed, false);
      from.update(secretsOf({ ...secrets, version: 2 }));
      assert.equal((await dial(from, port)).resumed, true, 'a set that changes nothing here');
      clock.advance(365 * 86_400_000);
      assert.equal((await dial(from, port)).resumed, false, 'the certificate in the session expired');
      clock.advance(-365 * 86_400_000);
      assert.equal((await dial(from, port)).resumed, true);
      const swapped = secrets.bundles.find((b) => b.name === 'other');
      assert.ok(swapped);
      from.update(secretsOf({ ...secrets, bundles: [{ ...swapped, name: 'root' }] }));
      const after = await dial(from, port);
      assert.equal(after.resumed, false);
      assert.equal(after.why?.code, 'unknown-ca');
    });
  });
}
