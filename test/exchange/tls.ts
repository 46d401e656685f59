/** A certificate for the name `web`, and the listener and secrets that show it. */
import type { SecretSet } from '../../src/config/index.ts';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';

export const ca = createCa({ commonName: 'ca' });
const certificate = issueCertificate(ca, { commonName: 'web', dnsNames: ['web'] });

/** For the listener's part of a configuration. */
export const TLS = 'tls: { certificates: [{ certFile: /web.pem, keyFile: /web.key }] }';

export async function tlsSecrets(): Promise<SecretSet> {
  return { version: 1, ticketKeys: [], ...(await loadedSecrets({ 'file:/web.pem': certificate })) };
}
