/**
 * Ranges of IP addresses (CIDR, RFC 4632 and RFC 4291 section 2.3), and which addresses are in them. An IPv4 address is the same as
 * its IPv6 form (`::ffff:1.2.3.4`), which is what a socket of both families calls its IPv4 peers.
 */

/** Four 32-bit words, the highest first. */
export type AddressWords = readonly [number, number, number, number];

export interface IpRange {
  /** Those of its first address. */
  readonly words: AddressWords;
  /** Leading bits that count, 0 to 128; of an IPv4 range at least 96. */
  readonly bits: number;
}

/** The range written `10.0.0.0/8`, `fd00::/8`, or as one address. Null: it is none, or bits below its prefix are set. */
export function parseIpRange(text: string): IpRange | null {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const words = parseAddress(address);
  if (words === null) return null;
  const most = address.includes(':') ? 128 : 32;
  const length = slash < 0 ? most : prefixLength(text.slice(slash + 1), most);
  if (length < 0) return null;
  const range = { words, bits: length + 128 - most };
  return sameWords(firstOf(range), words) ? range : null;
}

export function inRange(address: AddressWords, { words, bits }: IpRange): boolean {
  for (let i = 0; i < 4 && bits > 32 * i; i++) {
    const mask = maskOf(bits - 32 * i);
    if (((address[i] as number) & mask) !== ((words[i] as number) & mask)) return false;
  }
  return true;
}

/** The first address of the range, as its owner meant to write it. */
export function networkOf(text: string): string | null {
  const slash = text.indexOf('/');
  const words = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (words === null || slash < 0) return null;
  const most = text.includes(':') ? 128 : 32;
  const length = prefixLength(text.slice(slash + 1), most);
  if (length < 0) return null;
  const first = firstOf({ words, bits: length + 128 - most });
  return `${most === 32 ? ipv4Text(first[3]) : ipv6Text(first)}/${length}`;
}

/** Null: the text is no address. A zone (`%eth0`) is none of an address. */
export function parseAddress(text: string): AddressWords | null {
  if (!text.includes(':')) {
    const word = parseIpv4(text);
    return word < 0 ? null : [0, 0, 0xffff, word];
  }
  return parseIpv6(text);
}

/** An IPv4 address as such, whatever it came as; else the form of RFC 5952. */
export function addressText(words: AddressWords): string {
  return isMappedIpv4(words) ? ipv4Text(words[3]) : ipv6Text(words);
}

/** `::ffff:0:0/96` (RFC 4291 section 2.5.5.2). */
export function isMappedIpv4([a, b, c]: AddressWords): boolean {
  return a === 0 && b === 0 && c === 0xffff;
}

/** `1.2.3.4` of one word. */
export function ipv4Text(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

/** The form of RFC 5952: lower case, the longest run of zero groups as `::`. */
export function ipv6Text(words: AddressWords): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let best = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > bestLength) {
      best = start;
      bestLength = end - start;
    }
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

const LONGEST = 45;
const OCTET = /^(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;
const LENGTH = /^(?:0|[1-9][0-9]{0,2})$/;

function prefixLength(text: string, most: number): number {
  return LENGTH.test(text) && Number(text) <= most ? Number(text) : -1;
}

/** -1: none. */
function parseIpv4(text: string): number {
  const octets = text.length > LONGEST ? [] : text.split('.');
  if (octets.length !== 4) return -1;
  let word = 0;
  for (const octet of octets) {
    if (!OCTET.test(octet)) return -1;
    word = word * 256 + Number(octet);
  }
  return word;
}

function parseIpv6(text: string): AddressWords | null {
  const halves = text.length > LONGEST ? [] : text.split('::');
  if (halves.length === 0 || halves.length > 2) return null;
  const last = halves.length - 1;
  const before = groupsOf(halves[0] as string, last === 0);
  const after = last === 0 ? [] : groupsOf(halves[1] as string, true);
  if (before === null || after === null) return null;
  const missing = 8 - before.length - after.length;
  if (last === 0 ? missing !== 0 : missing < 1) return null;
  const groups = [...before, ...new Array<number>(missing).fill(0), ...after];
  const word = (at: number): number => (groups[at] as number) * 65_536 + (groups[at + 1] as number);
  return [word(0), word(2), word(4), word(6)];
}

/** 16-bit groups; `ends`: an IPv4 address may stand for the last two. */
function groupsOf(half: string, ends: boolean): number[] | null {
  const groups: number[] = [];
  const parts = half === '' ? [] : half.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string;
    const ipv4 = ends && i === parts.length - 1 ? parseIpv4(part) : -1;
    if (ipv4 >= 0) groups.push(ipv4 >>> 16, ipv4 & 0xffff);
    else if (GROUP.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

function maskOf(bits: number): number {
  return bits >= 32 ? -1 : bits <= 0 ? 0 : -1 << (32 - bits);
}

function firstOf({ words, bits }: IpRange): AddressWords {
  const [a, b, c, d] = words.map((word, i) => (word & maskOf(bits - 32 * i)) >>> 0);
  return [a as number, b as number, c as number, d as number];
}

function sameWords(a: AddressWords, b: AddressWords): boolean {
  return a.every((word, i) => word === b[i]);
}
