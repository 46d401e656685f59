/** One authority and one EC P-256 certificate, the same files for every proxy; the workload's name is in its URI. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCa, issueCertificate } from '../../src/controlplane/identity/index.ts';
import type { TlsFiles } from './spec.ts';

/** What clients and sidecars verify. */
export const TLS_NAME = 'proxy.bench.example';
export const TLS_URI = 'spiffe://cluster.local/ns/bench/sa/bench';

export function writeCertificates(directory: string): TlsFiles {
  return write(directory, 'leaf', 'ec');
}

/** A key that costs a server some milliseconds each time, and a client next to nothing. */
export function writeSlowCertificates(directory: string): TlsFiles {
  return write(directory, 'slow', 'rsa-4096');
}

function write(directory: string, name: string, keyType: 'ec' | 'rsa-4096'): TlsFiles {
  const ca = createCa({ commonName: 'bench authority' });
  const leaf = issueCertificate(ca, {
    keyType,
    commonName: 'bench',
    dnsNames: [TLS_NAME, '*.bench.example'],
    ipAddresses: ['127.0.0.1'],
    uris: [TLS_URI],
  });
  const files = {
    certFile: join(directory, `${name}.pem`),
    keyFile: join(directory, `${name}.key`),
    caFile: join(directory, `${name}-ca.pem`),
  };
  writeFileSync(files.certFile, leaf.certPem);
  writeFileSync(files.keyFile, leaf.keyPem, { mode: 0o600 });
  writeFileSync(files.caFile, ca.certPem);
  return files;
}
