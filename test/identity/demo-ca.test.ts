/** Certificates of the throwaway CA satisfy a strict verifier that is not Node. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCa, issueCertificate, missingOpenssl } from '../kit/certs.ts';

const names = {
  commonName: 'web.shop',
  dnsNames: ['web.shop', '*.web.shop'],
  ipAddresses: ['127.0.0.1', '::1'],
  uris: ['spiffe://shop/ns/default/sa/web'],
};

for (const caKey of ['ec', 'rsa'] as const) {
  for (const leafKey of ['ec', 'rsa'] as const) {
    test(`openssl accepts a ${leafKey} leaf of an ${caKey} CA`, { skip: missingOpenssl() }, () => {
      const root = createCa({ commonName: 'root', keyType: caKey });
      const intermediate = createCa({ commonName: 'intermediate', parent: root });
      const leaf = issueCertificate(intermediate, { ...names, keyType: leafKey });
      const directory = mkdtempSync(join(tmpdir(), 'outboard-ca-'));
      try {
        const put = (name: string, text: string) => {
          writeFileSync(join(directory, name), text);
          return name;
        };
        const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'a.web.shop'];
        args.push(
          '-CAfile',
          put('root.pem', root.certPem),
          '-untrusted',
          put('mid.pem', intermediate.certPem),
        );
        const run = spawnSync('openssl', [...args, put('leaf.pem', leaf.certPem)], {
          cwd: directory,
          encoding: 'utf8',
        });
        assert.equal(run.status, 0, run.stderr);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }
}

test('the names asked for are the names in the certificate', () => {
  const leaf = new X509Certificate(issueCertificate(createCa({ commonName: 'root' }), names).certPem);
  assert.equal(
    leaf.subjectAltName,
    'DNS:web.shop, DNS:*.web.shop, URI:spiffe://shop/ns/default/sa/web, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  );
  assert.equal(leaf.checkIP('::1'), '::1');
  assert.equal(leaf.ca, false);
});

test('validity beyond 2049 is written as GeneralizedTime', () => {
  const ca = createCa({ commonName: 'root', notAfter: new Date(Date.UTC(2060, 0, 1)) });
  assert.equal(new X509Certificate(ca.certPem).validToDate.getUTCFullYear(), 2060);
});

test('a host name among the addresses is refused', () => {
  const ca = createCa({ commonName: 'root' });
  assert.throws(
    () => issueCertificate(ca, { ...names, ipAddresses: ['web.shop'] }),
    /put host names under dnsNames/,
  );
});
