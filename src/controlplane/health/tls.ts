/**
 * TLS to an endpoint for a health check, verified as the data plane verifies it (another room, which the control
 * plane may not import): the bundle, then one of `subjectAltNames`, else `sni`, else the address. An
 * endpoint that only a common name would let pass is unhealthy, because no request would pass it either.
 */
import { isIP } from 'node:net';
import type { ConnectionOptions, PeerCertificate } from 'node:tls';
import { nameMismatch } from '../../base/index.ts';
import type { SecretSet, UpstreamTls } from '../../config/index.ts';

/** Throws when a secret is not loaded: without `ca` every public authority would be trusted. */
export function endpointTlsOptions(tls: UpstreamTls, address: string, secrets: SecretSet): ConnectionOptions {
  const bundle = secrets.bundles.find(({ name }) => name === tls.ca);
  const own = secrets.certificates.find(({ name }) => name === tls.certificate);
  if (tls.ca !== null && !bundle) throw new Error(`the CA bundle ${tls.ca} is not loaded`);
  if (tls.certificate !== null && !own) throw new Error(`the certificate ${tls.certificate} is not loaded`);
  return {
    ...(bundle ? { ca: bundle.caPem } : {}),
    ...(own ? { cert: own.certPem, key: own.keyPem } : {}),
    // A server name is never an address (RFC 6066 section 3); the empty text sends none.
    servername: tls.sni !== null && isIP(tls.sni) === 0 ? tls.sni : '',
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => verifyNames(tls, address, certificate),
  };
}

function verifyNames(tls: UpstreamTls, address: string, certificate: PeerCertificate): Error | undefined {
  const wanted = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : [tls.sni ?? address];
  const message = nameMismatch(wanted, certificate.subjectaltname);
  if (message === null) return undefined;
  return Object.assign(new Error(message), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}
