/** A certificate for the name `web` and its authority as files, for programs that read no others. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { createCa, issueCertificate } from './certs.ts';

export const SERVER_NAME = 'web';

export interface CertFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** They are removed when the test file is over. */
export function certFiles(): CertFiles {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-certs-'));
  after(() => rmSync(directory, { recursive: true }));
  const ca = createCa({ commonName: 'ca' });
  const issued = issueCertificate(ca, { commonName: SERVER_NAME, dnsNames: [SERVER_NAME] });
  const files = {
    caFile: join(directory, 'ca.pem'),
    certFile: join(directory, 'web.pem'),
    keyFile: join(directory, 'web.key'),
  };
  writeFileSync(files.caFile, ca.certPem);
  writeFileSync(files.certFile, issued.certPem);
  writeFileSync(files.keyFile, issued.keyPem);
  return files;
}
