/** Certificate files as people get them wrong: each mistake is named, with its file and its cure. */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadSecrets, type SecretFault } from '../../src/controlplane/identity/index.ts';
import { createCa, issueCertificate, missingOpenssl, ocspResponse } from '../kit/certs.ts';

const directory = mkdtempSync(join(tmpdir(), 'outboard-secrets-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

const root = createCa({ commonName: 'root' });
const intermediate = createCa({ commonName: 'intermediate', parent: root });
const names = { commonName: 'web.shop', dnsNames: ['Web.shop', '*.web.shop'] };
const web = issueCertificate(root, names);
const chained = issueCertificate(intermediate, names);
const [leafPem, intermediatePem] = chained.certPem.split(/(?=-----BEGIN)/) as [string, string];
const now = Date.now();
const DAY = 86_400_000;

function write(content: string | Uint8Array): string {
  const path = join(directory, `f${files++}.pem`);
  writeFileSync(path, content);
  return path;
}

async function load(cert: string | Uint8Array, key: string | Uint8Array, ocsp: Uint8Array | null = null) {
  const ref = {
    name: 'web',
    certFile: write(cert),
    keyFile: write(key),
    ocspFile: ocsp ? write(ocsp) : null,
  };
  const loaded = await loadSecrets({ certificates: [ref], bundles: [] }, now);
  return { secret: loaded.certificates[0], faults: loaded.faults, recheckAtMs: loaded.recheckAtMs, ...ref };
}

function only(faults: readonly SecretFault[]): SecretFault {
  assert.equal(faults.length, 1, JSON.stringify(faults));
  return faults[0] as SecretFault;
}

test('a good pair loads without a fault', async () => {
  const { secret, faults } = await load(web.certPem, web.keyPem);
  assert.deepEqual(faults, []);
  assert.deepEqual(secret?.hosts, ['web.shop', '*.web.shop']);
  assert.equal(secret?.serial, web.serial);
  assert.equal(secret?.keyType, 'ec');
  assert.ok(Math.abs((secret?.notAfterMs ?? 0) - (now + 30 * DAY)) < 60_000);
});

test('a key of another certificate is refused, both files and fingerprints named', async () => {
  const other = issueCertificate(root, names);
  const { secret, faults, certFile, keyFile } = await load(web.certPem, other.keyPem);
  assert.equal(secret, undefined);
  const fault = only(faults);
  assert.equal(fault.severity, 'error');
  assert.equal(fault.path, keyFile);
  assert.ok(fault.message.includes(certFile));
  assert.equal(new Set(fault.message.match(/[0-9a-f]{64}/g)).size, 2);
});

test('a missing file, a directory and a file without PEM are told apart', async () => {
  const keyFile = write(web.keyPem);
  for (const [certFile, message] of [
    [join(directory, 'nowhere.pem'), /no such file/],
    [directory, /is a directory/],
    [write('hello'), /no PEM certificate/],
    [write(Buffer.from([0x30, 0x82, 1, 2])), /DER, not PEM/],
    [write(web.certPem.replace(/\n[A-Za-z0-9+/]{20}/, '\n')), /certificate 1 in it is damaged/],
  ] as const) {
    const ref = { name: 'web', certFile, keyFile, ocspFile: null };
    const { faults } = await loadSecrets({ certificates: [ref], bundles: [] }, now);
    assert.match(only(faults).message, message);
    assert.equal(only(faults).path, certFile);
    assert.notEqual(only(faults).cure, '');
  }
});

test('swapped files are recognised', async () => {
  const { faults } = await load(web.keyPem, web.certPem);
  assert.equal(faults.length, 2);
  for (const fault of faults) assert.match(fault.cure, /swapped/);
});

test('an encrypted key is refused with the command that decrypts it', async () => {
  const key = createPrivateKey(web.keyPem);
  const options = { format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
  for (const type of ['pkcs8', 'sec1'] as const) {
    const encrypted = key.export({ ...options, type }) as string;
    const { faults } = await load(web.certPem, encrypted);
    assert.match(only(faults).message, /encrypted/);
    assert.match(only(faults).cure, /openssl pkey/);
  }
});

test('every unencrypted key form is read', async () => {
  const rsa = issueCertificate(root, { ...names, keyType: 'rsa' });
  for (const [issued, type] of [
    [web, 'sec1'],
    [web, 'pkcs8'],
    [rsa, 'pkcs1'],
    [rsa, 'pkcs8'],
  ] as const) {
    const text = createPrivateKey(issued.keyPem).export({ type, format: 'pem' }) as string;
    const { secret, faults } = await load(issued.certPem, text);
    assert.deepEqual(faults, [], type);
    assert.equal(secret?.keyType, issued === rsa ? 'rsa' : 'ec');
  }
});

test('expired and early certificates are served with a warning', async () => {
  const long = new Date(now - 9 * DAY);
  const expired = issueCertificate(root, { ...names, notBefore: long, notAfter: new Date(now - DAY) });
  const early = issueCertificate(root, { ...names, notBefore: new Date(now + DAY) });
  for (const [issued, message] of [
    [expired, /expired on/],
    [early, /valid from/],
  ] as const) {
    const { secret, faults } = await load(issued.certPem, issued.keyPem);
    assert.ok(secret);
    assert.equal(only(faults).severity, 'warning');
    assert.match(only(faults).message, message);
  }
});

test('a chain out of order is put in order, strays are left out', async () => {
  const turned = await load(intermediatePem + leafPem, chained.keyPem);
  assert.equal(turned.secret?.certPem, chained.certPem);
  assert.match(only(turned.faults).message, /out of order/);
  const stray = await load(chained.certPem + web.certPem, chained.keyPem);
  assert.equal(stray.secret?.certPem, chained.certPem);
  assert.match(only(stray.faults).message, /not part of the chain/);
});

test('a certificate without names is served with a warning', async () => {
  const bare = issueCertificate(root, { commonName: 'web.shop' });
  const { secret, faults } = await load(bare.certPem, bare.keyPem);
  assert.ok(secret);
  assert.match(only(faults).message, /no subjectAltName/);
});

test('a damaged key is refused', async () => {
  const { faults } = await load(
    web.certPem,
    '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  );
  assert.match(only(faults).message, /can't be read/);
});

test('curves and key sizes that TLS clients refuse are refused here', {
  skip: missingOpenssl(),
}, async () => {
  const { spawnSync } = await import('node:child_process');
  for (const [key, message] of [
    [generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, /curve secp256k1/],
    [generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, /1024 bits is too short/],
  ] as const) {
    const keyPem = key.export({ type: 'pkcs8', format: 'pem' }) as string;
    const args = ['req', '-x509', '-key', write(keyPem), '-subj', '/CN=x', '-addext', 'subjectAltName=DNS:x'];
    const { faults, secret } = await load(spawnSync('openssl', args, { encoding: 'utf8' }).stdout, keyPem);
    assert.equal(secret, undefined);
    assert.match(faults.find((fault) => fault.severity === 'error')?.message ?? '', message);
  }
});

test('an OCSP response is stapled when it is good, current and about the certificate', {
  skip: missingOpenssl(),
}, async () => {
  const good = ocspResponse(root, web);
  const loaded = await load(web.certPem, web.keyPem, good);
  assert.deepEqual(loaded.faults, []);
  assert.deepEqual(Buffer.from(loaded.secret?.ocsp ?? []), good);
  assert.ok(
    Math.abs((loaded.recheckAtMs ?? 0) - (now + 7 * DAY)) < 60_000,
    'read again when it goes out of date',
  );
  for (const [ocsp, message] of [
    [ocspResponse(root, issueCertificate(root, names)), /not about the certificate/],
    [ocspResponse(root, web, 'revoked'), /does not say that the certificate is good/],
    [Buffer.from('junk'), /no successful OCSP response/],
  ] as const) {
    const refused = await load(web.certPem, web.keyPem, ocsp);
    assert.equal(refused.secret?.ocsp, null);
    assert.equal(only(refused.faults).severity, 'warning');
    assert.match(only(refused.faults).message, message);
  }
});

test("a bundle's hash follows its certificates, not their order or the text around them", async () => {
  const other = createCa({ commonName: 'other' });
  const hashOf = async (text: string) => {
    const loaded = await loadSecrets(
      { certificates: [], bundles: [{ name: 'b', caFile: write(text) }] },
      now,
    );
    assert.deepEqual(loaded.faults, []);
    return loaded.bundles[0]?.hash;
  };
  const one = await hashOf(root.certPem + other.certPem);
  assert.equal(await hashOf(`# roots\n${other.certPem}\n${root.certPem}${root.certPem}`), one);
  assert.notEqual(await hashOf(root.certPem), one);
});

test('a bundle with an expired CA or a leaf in it warns', async () => {
  const old = createCa({
    commonName: 'old',
    notBefore: new Date(now - 9 * DAY),
    notAfter: new Date(now - DAY),
  });
  const text = root.certPem + old.certPem + web.certPem;
  const { faults, bundles } = await loadSecrets(
    { certificates: [], bundles: [{ name: 'b', caFile: write(text) }] },
    now,
  );
  assert.equal(bundles.length, 1);
  assert.deepEqual(
    faults.map((fault) => fault.severity),
    ['warning', 'warning'],
  );
});
