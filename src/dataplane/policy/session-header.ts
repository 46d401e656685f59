/**
 * The header field that keeps a client at its endpoint: Envoy's (extensions/http/stateful_session/header), base64 of the
 * endpoint's `address:port`. It has no end.
 */

/** Longer than `[IPv6]:port` in base64. */
const VALUE_MAX = 128;

/** Address of the endpoint; empty: the value is too long to be one. What is no address is that of no endpoint. */
export function headerEndpoint(value: string): string {
  return value.length > VALUE_MAX ? '' : Buffer.from(value, 'base64').toString('latin1');
}

export function sessionHeader(address: string): string {
  return Buffer.from(address, 'latin1').toString('base64');
}
