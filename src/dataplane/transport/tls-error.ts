/**
 * Why a handshake failed, from what Node and OpenSSL report: a short code to count by, and a detail for
 * people that names the likely cure. OpenSSL's reasons are many and change with its versions; what isn't
 * in these tables is reported as `handshake` with OpenSSL's own words.
 */

export type TlsServerFailure =
  | 'not-tls'
  | 'handshake-timeout'
  | 'disconnected'
  | 'protocol-version'
  | 'no-shared-cipher'
  | 'no-application-protocol'
  | 'client-certificate-missing'
  | 'client-certificate-invalid'
  | 'client-certificate-expired'
  | 'peer-alert'
  | 'no-certificate'
  | 'no-trust-bundle'
  | 'closed'
  | 'handshake';

export type TlsClientFailure =
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'unknown-ca'
  | 'name-mismatch'
  | 'certificate-invalid'
  | 'client-certificate-refused'
  | 'no-shared-parameters'
  | 'not-tls'
  | 'disconnected'
  | 'handshake'
  | 'no-certificate'
  | 'no-trust-bundle';

const SERVER_CODES: Readonly<Record<string, readonly [TlsServerFailure, string]>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: ['handshake-timeout', 'the handshake did not end in time'],
  ERR_SSL_HTTP_REQUEST: ['not-tls', 'plain HTTP arrived on a TLS port; use https://'],
  ERR_SSL_HTTPS_PROXY_REQUEST: ['not-tls', 'a plain CONNECT arrived on a TLS port; use https://'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['not-tls', 'what arrived is not a TLS record; does the client speak TLS?'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: [
    'not-tls',
    'a TLS record is longer than allowed; does the client speak TLS?',
  ],
  ERR_SSL_UNSUPPORTED_PROTOCOL: [
    'protocol-version',
    'the client speaks no version that minProtocolVersion allows',
  ],
  ERR_SSL_NO_SHARED_CIPHER: [
    'no-shared-cipher',
    'the client offers no cipher for this key type; give an RSA and an EC certificate, or update the client',
  ],
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: [
    'no-shared-cipher',
    'the client verifies no signature of this key type; give an RSA and an EC certificate',
  ],
  ERR_SSL_NO_SUITABLE_KEY_SHARE: ['no-shared-cipher', 'the client offers no group that is offered here'],
  ERR_SSL_NO_APPLICATION_PROTOCOL: [
    'no-application-protocol',
    'the client offers no ALPN protocol of this listener (RFC 7301 section 3.2)',
  ],
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: [
    'client-certificate-missing',
    'clientAuth is require and the client sent no certificate',
  ],
};

const CLIENT_CODES: Readonly<Record<string, readonly [TlsClientFailure, string]>> = {
  CERT_HAS_EXPIRED: ['certificate-expired', 'renew it on the endpoint'],
  CERT_NOT_YET_VALID: ['certificate-not-yet-valid', 'compare the clocks of both machines'],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'name-mismatch',
    'correct tls.sni or tls.subjectAltNames, or the certificate',
  ],
  CERT_UNTRUSTED: ['certificate-invalid', 'the CA does not vouch for servers'],
  INVALID_PURPOSE: ['certificate-invalid', 'its extended key usage does not allow servers; issue another'],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    'not-tls',
    'the endpoint does not speak TLS on this port; remove tls, or correct the port',
  ],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: [
    'not-tls',
    'the endpoint does not speak TLS on this port; remove tls, or correct the port',
  ],
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: [
    'no-shared-parameters',
    'the endpoint speaks neither TLS 1.2 nor 1.3',
  ],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ['no-shared-parameters', 'the endpoint speaks neither TLS 1.2 nor 1.3'],
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: [
    'no-shared-parameters',
    'the endpoint accepts no ALPN protocol offered',
  ],
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: [
    'no-shared-parameters',
    'the endpoint shares no cipher, or it requires a client certificate (tls.certFile)',
  ],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: [
    'client-certificate-refused',
    'the endpoint requires a client certificate; set tls.certFile and tls.keyFile',
  ],
};

const UNKNOWN_CA = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]);

/** Alerts by which an endpoint refuses the client certificate it was sent (RFC 8446 section 6.2). */
const CERTIFICATE_ALERT =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)/;

export interface Explained<Code> {
  readonly code: Code;
  readonly detail: string;
}

/** `verifyError` is OpenSSL's verdict on the client's certificate, null when it was not at fault. */
export function explainServerError(
  error: NodeJS.ErrnoException,
  verifyError: string | null,
): Explained<TlsServerFailure> {
  if (verifyError !== null) return explainClientCertificate(verifyError);
  const code = error.code ?? '';
  const known = SERVER_CODES[code];
  if (known) return { code: known[0], detail: known[1] };
  if (code.includes('_ALERT_')) {
    const alert = code.slice(code.indexOf('_ALERT_') + 7).toLowerCase();
    return { code: 'peer-alert', detail: `the client refused with the alert ${alert}` };
  }
  if (!code.startsWith('ERR_')) {
    return { code: 'disconnected', detail: `the client went away during the handshake (${code})` };
  }
  return { code: 'handshake', detail: reason(error) };
}

export function explainClientCertificate(verifyError: string): Explained<TlsServerFailure> {
  if (verifyError === 'CERT_HAS_EXPIRED') {
    return { code: 'client-certificate-expired', detail: 'the client certificate has expired; renew it' };
  }
  const cure = UNKNOWN_CA.has(verifyError)
    ? 'it chains to no CA of clientCaFile; add its CA there, or have the client send its intermediates'
    : 'issue another';
  return {
    code: 'client-certificate-invalid',
    detail: `the client certificate was not accepted (${verifyError}): ${cure}`,
  };
}

/** Why an endpoint was not accepted, or refused us; for the detail of failure `upstream-tls`. */
export function explainUpstreamTlsError(error: NodeJS.ErrnoException): Explained<TlsClientFailure> {
  // OpenSSL 3.2 renamed the reasons of old alerts; the code takes over even the slash.
  const code = (error.code ?? '').replace('SSL/TLS_ALERT', 'SSLV3_ALERT');
  const known = CLIENT_CODES[code];
  if (known) {
    const what = known[0] === 'name-mismatch' ? error.message : `the endpoint: ${words(known[0])} (${code})`;
    return { code: known[0], detail: `${what}; cure: ${known[1]}` };
  }
  if (UNKNOWN_CA.has(code)) {
    return {
      code: 'unknown-ca',
      detail: `the endpoint: unknown ca (${code}); cure: put the root that issued its certificate into tls.caFile, or have the endpoint send its intermediates`,
    };
  }
  if (CERTIFICATE_ALERT.test(code)) {
    return {
      code: 'client-certificate-refused',
      detail: `the endpoint refused our certificate (${code}); cure: compare tls.certFile with the CA it trusts`,
    };
  }
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT') {
    return { code: 'disconnected', detail: `the endpoint went away during the handshake (${code})` };
  }
  const invalid = /^(CERT_|INVALID_|UNABLE_|PATH_|ERROR_IN_|CRL_|HOSTNAME_)/.test(code);
  return { code: invalid ? 'certificate-invalid' : 'handshake', detail: `${reason(error)} (${code})` };
}

function words(code: string): string {
  return code.replaceAll('-', ' ');
}

/** OpenSSL's words without its thread id, source file and line. */
function reason(error: Error & { reason?: string }): string {
  return error.reason ?? error.message.split(':').at(-4) ?? error.message;
}
