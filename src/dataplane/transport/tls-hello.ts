/**
 * What a ClientHello says that decides which TLS server answers it: the server name, and which ticket
 * key sealed the session it wants to resume. Node tells neither before it has chosen a context: through
 * SNICallback it installs one chain only (of an EC and an RSA one, an RSA-only client finds no shared
 * cipher), and it holds a single ticket key, so a rotation would end every session.
 *
 * Reading is all this does; OpenSSL still validates every byte. A hello that isn't complete in one
 * record of the bytes at hand is reported as such, and the caller falls back to SNICallback; `HelloReader` waits for one.
 * Formats: RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 5077 section 3.2.
 */
import { normalName } from '../../base/index.ts';

export interface Hello {
  /** Lower case, without a final dot; empty when none was sent. */
  serverName: string;
  /** Offset of the 16-byte ticket key name in the bytes parsed, or -1. */
  ticketNameAt: number;
}

/** Bytes of the name that OpenSSL puts at the front of a ticket (RFC 5077 section 4). */
export const TICKET_NAME_BYTES = 16;

export const RECORD_HANDSHAKE = 22;
export const CLIENT_HELLO = 1;
const EXT_SERVER_NAME = 0;
const EXT_SESSION_TICKET = 35;
const EXT_PRE_SHARED_KEY = 41;

/** Fills `out` and returns true; false when the hello is incomplete or malformed. */
export function readHello(bytes: Buffer, out: Hello): boolean {
  out.serverName = '';
  out.ticketNameAt = -1;
  // Record header of 5, handshake header of 4.
  if (bytes.length < 9 || bytes[0] !== RECORD_HANDSHAKE) return false;
  const end = 9 + bytes.readUIntBE(6, 3);
  if (bytes.length < end || 5 + bytes.readUInt16BE(3) < end) return false;
  return readHelloMessage(bytes, 5, end, out);
}

/** The same of a handshake message without its record header, `bytes[start, end)`. */
export function readHelloMessage(bytes: Buffer, start: number, end: number, out: Hello): boolean {
  // Handshake header of 4, version of 2, random of 32, session id length.
  const sessionAt = start + 38;
  if (end <= sessionAt || bytes[start] !== CLIENT_HELLO) return false;
  let at = sessionAt + 1 + (bytes[sessionAt] as number);
  if (at + 2 > end) return false;
  at += 2 + bytes.readUInt16BE(at); // cipher suites
  if (at + 1 > end) return false;
  at += 1 + (bytes[at] as number); // compression methods
  if (at === end) return true; // a hello may have no extensions (RFC 5246 section 7.4.1.2)
  if (at + 2 > end || at + 2 + bytes.readUInt16BE(at) !== end) return false;
  at += 2;
  while (at + 4 <= end) {
    const type = bytes.readUInt16BE(at);
    const from = at + 4;
    at = from + bytes.readUInt16BE(at + 2);
    if (at > end) return false;
    if (type === EXT_SERVER_NAME) out.serverName = serverName(bytes, from, at);
    else if (type === EXT_SESSION_TICKET && at - from >= TICKET_NAME_BYTES) out.ticketNameAt = from;
    // The identities' length of 2, the first identity's length of 2, then the ticket.
    else if (type === EXT_PRE_SHARED_KEY && at - from >= 4 + TICKET_NAME_BYTES) out.ticketNameAt = from + 4;
  }
  return at === end;
}

/** True when the ticket in the hello was sealed with this 48-byte key. */
export function sealedWith(key: Uint8Array, bytes: Buffer, nameAt: number): boolean {
  for (let i = 0; i < TICKET_NAME_BYTES; i++) if (key[i] !== bytes[nameAt + i]) return false;
  return true;
}

/** A list's length of 2, then type 0 (host_name), length of 2, name. */
function serverName(bytes: Buffer, from: number, end: number): string {
  if (end - from < 5 || bytes[from + 2] !== 0) return '';
  const stop = from + 5 + bytes.readUInt16BE(from + 3);
  return stop > end ? '' : normalName(bytes.toString('latin1', from + 5, stop));
}
