/**
 * The demo's TLS: an authority and one certificate made at start, in a directory of its own that is
 * removed at the end. Only the owner may read it, though its keys are worth nothing after that.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCa, issueCertificate } from '../../controlplane/identity/index.ts';
import { HOST } from './ports.ts';

export interface DemoCertificate {
  /** Holds `demo.pem` and `demo.key`, as config/demo.yaml names them, and `ca.pem` for clients. */
  readonly directory: string;
  readonly caFile: string;
  readonly caPem: string;
  remove(): Promise<void>;
}

export async function makeCertificate(): Promise<DemoCertificate> {
  const directory = await mkdtemp(join(tmpdir(), 'outboard-demo-'));
  const erase = (): void => rmSync(directory, { recursive: true, force: true });
  // For ends that nobody could await, such as a second Ctrl-C.
  process.once('exit', erase);
  const ca = createCa({ commonName: 'Outboard demo, throwaway' });
  const leaf = issueCertificate(ca, {
    commonName: 'shop.example',
    dnsNames: ['shop.example', '*.shop.example', 'localhost'],
    ipAddresses: [HOST],
  });
  const caFile = join(directory, 'ca.pem');
  await writeFile(caFile, ca.certPem);
  await writeFile(join(directory, 'demo.pem'), leaf.certPem);
  await writeFile(join(directory, 'demo.key'), leaf.keyPem, { mode: 0o600 });
  return {
    directory,
    caFile,
    caPem: ca.certPem,
    remove: async () => {
      process.removeListener('exit', erase);
      erase();
    },
  };
}
