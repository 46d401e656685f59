/**
 * The PROXY protocol's header (haproxy.org, proxy-protocol.txt, versions 1 and 2): what a proxy in front says, before anything else
 * on a connection, of the connection that it speaks for. Read strictly, because whatever is taken for a header decides who a
 * client is; written for endpoints that ask for it.
 */
import {
  type AddressWords,
  addressText,
  ipv4Text,
  ipv6Text,
  isMappedIpv4,
  LIMITS,
  parseAddress,
} from '../base/index.ts';

export type ProxyVersion = 'v1' | 'v2';

/** Whose connection it is, and which one of ours it was made to. */
export interface ProxiedAddresses {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

export type ProxyHeader =
  /** More bytes have to come before it is known what they are. */
  | { readonly state: 'more' }
  /** The bytes are no header. */
  | { readonly state: 'none' }
  | { readonly state: 'broken'; readonly version: ProxyVersion; readonly why: string }
  /** `addresses` null: the proxy speaks for itself (LOCAL), or of something that is no TCP over IP (UNKNOWN). */
  | {
      readonly state: 'whole';
      readonly version: ProxyVersion;
      readonly length: number;
      readonly addresses: ProxiedAddresses | null;
    };

const MORE: ProxyHeader = { state: 'more' };
const NONE: ProxyHeader = { state: 'none' };

const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
/** Its longest line, CRLF included, is 107 bytes. */
const V1_BYTES_MAX = 107;
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
const TCP4_BYTES = 12;
const TCP6_BYTES = 36;
const CR = 0x0d;

/** Reads what a connection begins with. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, V1_SIGNATURE)) return bytes.length < V1_SIGNATURE.length ? MORE : readV1(bytes);
  if (begins(bytes, V2_SIGNATURE)) return bytes.length < V2_HEAD_BYTES ? MORE : readV2(bytes);
  return NONE;
}

/** The first bytes of both are the same, as far as both go. */
function begins(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return length > 0 && bytes.compare(signature, 0, length, 0, length) === 0;
}

const PORT = /^(?:0|[1-9][0-9]{0,4})$/;

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf(CR);
  if (end < 0)
    return bytes.length < V1_BYTES_MAX ? MORE : broken('v1', `no CRLF within ${V1_BYTES_MAX} bytes`);
  if (end + 1 === V1_BYTES_MAX) return broken('v1', `no CRLF within ${V1_BYTES_MAX} bytes`);
  if (bytes.length === end + 1) return MORE;
  if (bytes[end + 1] !== 0x0a) return broken('v1', 'a CR without LF');
  const length = end + 2;
  const [, family, ...parts] = bytes.toString('latin1', 0, end).split(' ');
  // What follows UNKNOWN is not to be looked at (section 2.1).
  if (family === 'UNKNOWN') return { state: 'whole', version: 'v1', length, addresses: null };
  if (family !== 'TCP4' && family !== 'TCP6') return broken('v1', 'expected TCP4, TCP6 or UNKNOWN');
  const [source, destination, sourcePort, destinationPort] = parts as [string, string, string, string];
  if (parts.length !== 4) return broken('v1', 'expected two addresses and two ports, with one space between');
  if (!isOf(family, source) || !isOf(family, destination))
    return broken('v1', `expected ${family} addresses`);
  if (!isPort(sourcePort) || !isPort(destinationPort)) return broken('v1', 'expected ports from 0 to 65535');
  const addresses = {
    remoteAddress: canonical(source),
    remotePort: Number(sourcePort),
    localAddress: canonical(destination),
    localPort: Number(destinationPort),
  };
  return { state: 'whole', version: 'v1', length, addresses };
}

function isOf(family: 'TCP4' | 'TCP6', address: string): boolean {
  return address.includes(':') === (family === 'TCP6') && parseAddress(address) !== null;
}

/** `address` was found to be one. */
function canonical(address: string): string {
  return addressText(parseAddress(address) as AddressWords);
}

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= 65_535;
}

function readV2(bytes: Buffer): ProxyHeader {
  const command = bytes[12] as number;
  const family = bytes[13] as number;
  const length = V2_HEAD_BYTES + bytes.readUInt16BE(14);
  if (command !== V2_LOCAL && command !== V2_PROXY)
    return broken('v2', `version and command 0x${hex(command)}`);
  if (length > LIMITS.proxyHeaderBytes)
    return broken('v2', `${length} bytes, above ${LIMITS.proxyHeaderBytes}`);
  if (bytes.length < length) return MORE;
  const whole = (addresses: ProxiedAddresses | null): ProxyHeader => ({
    state: 'whole',
    version: 'v2',
    length,
    addresses,
  });
  // Families that are not known, AF_UNIX among them, say nothing of use (section 2.2); datagrams are no connection.
  if (command === V2_LOCAL || family === 0x00 || family === 0x31) return whole(null);
  const size = family === TCP4 ? TCP4_BYTES : family === TCP6 ? TCP6_BYTES : -1;
  if (size < 0) return broken('v2', `family and protocol 0x${hex(family)}`);
  if (length < V2_HEAD_BYTES + size)
    return broken('v2', `${length - V2_HEAD_BYTES} bytes of ${size} of addresses`);
  const at = V2_HEAD_BYTES;
  const address = (offset: number): string =>
    family === TCP4 ? ipv4Text(bytes.readUInt32BE(at + offset)) : addressText(wordsAt(bytes, at + offset));
  const ports = at + size - 4;
  return whole({
    remoteAddress: address(0),
    remotePort: bytes.readUInt16BE(ports),
    localAddress: address(family === TCP4 ? 4 : 16),
    localPort: bytes.readUInt16BE(ports + 2),
  });
}

function wordsAt(bytes: Buffer, at: number): AddressWords {
  return [
    bytes.readUInt32BE(at),
    bytes.readUInt32BE(at + 4),
    bytes.readUInt32BE(at + 8),
    bytes.readUInt32BE(at + 12),
  ];
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

function broken(version: ProxyVersion, why: string): ProxyHeader {
  return { state: 'broken', version, why };
}

/** The header for a connection of this client. Null: one that is our own, a health check's. */
export function writeProxyHeader(version: ProxyVersion, of: ProxiedAddresses | null): Buffer {
  const source = of === null ? null : parseAddress(of.remoteAddress);
  const destination = of === null ? null : parseAddress(of.localAddress);
  if (of === null || source === null || destination === null) return version === 'v1' ? V1_UNKNOWN : V2_OWN;
  const ipv4 = isMappedIpv4(source) && isMappedIpv4(destination);
  if (version === 'v1') {
    const text = (words: AddressWords): string => (ipv4 ? ipv4Text(words[3]) : ipv6Text(words));
    const addresses = `${text(source)} ${text(destination)}`;
    return Buffer.from(
      `PROXY ${ipv4 ? 'TCP4' : 'TCP6'} ${addresses} ${of.remotePort} ${of.localPort}\r\n`,
      'latin1',
    );
  }
  const size = ipv4 ? TCP4_BYTES : TCP6_BYTES;
  const header = Buffer.alloc(V2_HEAD_BYTES + size);
  V2_SIGNATURE.copy(header);
  header[12] = V2_PROXY;
  header[13] = ipv4 ? TCP4 : TCP6;
  header.writeUInt16BE(size, 14);
  let at = V2_HEAD_BYTES;
  for (const words of [source, destination])
    for (const word of ipv4 ? [words[3]] : words) at = header.writeUInt32BE(word, at);
  at = header.writeUInt16BE(of.remotePort, at);
  header.writeUInt16BE(of.localPort, at);
  return header;
}

const V1_UNKNOWN = Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
const V2_OWN = Buffer.concat([V2_SIGNATURE, Buffer.from([V2_LOCAL, 0, 0, 0])]);
