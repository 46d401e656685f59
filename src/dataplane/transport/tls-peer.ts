/** Who the other side of a TLS connection is: the facts of its certificate, read once per connection. */
import type { X509Certificate } from 'node:crypto';
import { altNames } from '../../base/index.ts';
import type { PeerCertificate } from '../../message/index.ts';

export function peerCertificate(certificate: X509Certificate): PeerCertificate {
  const names = altNames(certificate.subjectAltName);
  return {
    subject: certificate.subject,
    uriSans: names.uris,
    dnsSans: names.dns,
    serial: certificate.serialNumber,
    fingerprint256: certificate.fingerprint256,
  };
}
