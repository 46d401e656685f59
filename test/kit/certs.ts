/**
 * Certificates and secrets for tests. Keys are EC P-256 but where a test
 * asks for RSA, so that making them costs nothing.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/index.ts';
import type { CertificateSecret, TrustBundle } from '../../src/config/secrets.ts';
import { certificateSecret } from '../../src/config/secrets.ts';
import {
  type CertificateAuthority,
  type IssuedCertificate,
  type SecretRefs,
  SecretStore,
} from '../../src/controlplane/identity/index.ts';

export { createCa, issueCertificate } from '../../src/controlplane/identity/index.ts';

/** Secrets from certificates in memory, by the same checks as those from files. */
export async function loadedSecrets(
  certificates: Readonly<Record<string, IssuedCertificate>>,
  bundles: Readonly<Record<string, CertificateAuthority>> = {},
): Promise<{ certificates: readonly CertificateSecret[]; bundles: readonly TrustBundle[] }> {
  const refs: SecretRefs = {
    certificates: Object.entries(certificates).map(([name, { certPem, keyPem }]) => ({
      name,
      certPem,
      keyPem,
    })),
    bundles: Object.entries(bundles).map(([name, { certPem }]) => ({ name, caPem: certPem })),
  };
  const store = new SecretStore(systemClock, () => {});
  const fault = (await store.load(refs)).find(({ severity }) => severity === 'error');
  if (fault) throw new Error(`${fault.path}: ${fault.message}`);
  return store.current;
}

export function withOcsp(secret: CertificateSecret, ocsp: Uint8Array): CertificateSecret {
  return certificateSecret({ ...secret, keyPem: secret.keyPem, ocsp });
}

/** Null when the command line tool is there, else the line a skipped test shows. */
export function missingOpenssl(): string | false {
  return spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';
}

/** A DER response that says `status` of the certificate, signed by its issuer; made by the openssl tool. */
export function ocspResponse(
  ca: CertificateAuthority,
  leaf: IssuedCertificate,
  status: 'good' | 'revoked' = 'good',
  days = 7,
): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-ocsp-'));
  const file = (name: string) => join(directory, name);
  try {
    writeFileSync(file('ca.pem'), ca.certPem);
    writeFileSync(file('ca.key'), ca.key.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(file('leaf.pem'), leaf.certPem);
    const state = status === 'good' ? 'V\t391231235959Z\t' : 'R\t391231235959Z\t260101000000Z';
    writeFileSync(file('index.txt'), `${state}\t${leaf.serial}\tunknown\t/CN=leaf\n`);
    openssl(directory, 'ocsp -issuer ca.pem -cert leaf.pem -no_nonce -reqout req.der');
    openssl(
      directory,
      `ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin req.der -respout out.der -ndays ${days}`,
    );
    return readFileSync(file('out.der'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function openssl(directory: string, args: string): void {
  const run = spawnSync('openssl', args.split(' '), { cwd: directory, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`openssl ${args}: ${run.stderr}`);
}
