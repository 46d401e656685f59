/**
 * The cookie that keeps a client at its endpoint. It is Envoy's (extensions/http/stateful_session/cookie): base64 of a protobuf
 * message with the endpoint's `address:port` as field 1 and, where sessions end, the time as field 2. That time is wall
 * clock here and one process's monotonic clock in Envoy, so that a session that has an end is not taken over from there.
 */
import type { SessionPersistenceConfig } from '../../config/index.ts';

const ADDRESS = 0x0a;
const EXPIRES = 0x10;
/** Longer than `[IPv6]:port`, and short enough for a length of one byte. */
const ADDRESS_MAX = 127;

/** Address of the endpoint; empty: the value is none of ours, or the session is over. */
export function sessionEndpoint(value: string, wallMs: number): string {
  const bytes = Buffer.from(value, 'base64');
  const length = bytes[1] ?? 0;
  if (bytes[0] !== ADDRESS || length > ADDRESS_MAX || bytes.length < 2 + length) return '';
  const expires = bytes.length > 2 + length ? expiresAt(bytes, 2 + length) : Number.POSITIVE_INFINITY;
  return expires * 1000 > wallMs ? bytes.toString('latin1', 2, 2 + length) : '';
}

/** A Set-Cookie value (RFC 6265 section 4.1) for a session that begins now. */
export function sessionCookie(session: SessionPersistenceConfig, address: string, wallMs: number): string {
  const { sessionName, path, absoluteTimeoutMs, permanent } = session;
  const bytes = [ADDRESS, address.length, ...Buffer.from(address, 'latin1')];
  if (absoluteTimeoutMs > 0) bytes.push(EXPIRES, ...varint(Math.ceil((wallMs + absoluteTimeoutMs) / 1000)));
  const value = Buffer.from(bytes).toString('base64');
  const age = permanent ? `; Max-Age=${Math.ceil(absoluteTimeoutMs / 1000)}` : '';
  return `${sessionName}="${value}"${age}${path === null ? '' : `; Path=${path}`}; HttpOnly`;
}

/** Seconds since 1970; 0 where the field is not whole. */
function expiresAt(bytes: Buffer, start: number): number {
  if (bytes[start] !== EXPIRES) return 0;
  let seconds = 0;
  for (let at = start + 1, unit = 1; at < bytes.length; at++, unit *= 128) {
    const byte = bytes[at] as number;
    seconds += (byte & 0x7f) * unit;
    if (byte < 0x80) return seconds;
  }
  return 0;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  bytes.push(left);
  return bytes;
}
