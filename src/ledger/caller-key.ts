// Who a caller is: the source address of a connection, as four words. An IPv4 address, also one in IPv6's clothes
// (::ffff:1.2.3.4), is a caller. Of IPv6 a host on the internet has a whole /64 to choose from, so such a network is
// one caller; addresses that somebody assigned one by one (loopback, link-local, and unique local ones, RFC 4193, as
// clusters give them to pods) are each.

/** Words of a caller's address, most significant first; IPv4 as `::ffff:0:0/96`. */
export type CallerWords = Int32Array;

const MAPPED = 0xffff;
const COLON = 0x3a;
const PERCENT = 0x25;
const DOT = 0x2e;

/**
 * Reads an address as Node states it (a zone is left out) into `words`. `ipv6PrefixLength`: bits of a public IPv6 address
 * that tell callers apart, 1 to 128. False: it is no IP address.
 */
export function readCaller(address: string, ipv6PrefixLength: number, words: CallerWords): boolean {
  if (!address.includes(':')) return readIpv4(address, 0, words);
  if (!readIpv6(address, words)) return false;
  if (words[0] !== 0 && !isAssigned(words[0] as number)) mask(words, ipv6PrefixLength);
  return true;
}

/** The address as people write it; a network with its prefix length. */
export function callerText(words: CallerWords, ipv6PrefixLength: number): string {
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
  if (w0 === 0 && w1 === 0 && w2 === MAPPED)
    return `${w3 >>> 24}.${(w3 >>> 16) & 255}.${(w3 >>> 8) & 255}.${w3 & 255}`;
  const groups = [w0, w1, w2, w3].flatMap((word) => [word >>> 16, word & 0xffff]);
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  const short =
    longest === undefined
      ? text
      : `${text.slice(0, longest.index).replace(/:$/, '')}::${text.slice(longest.index + longest[0].length).replace(/^:/, '')}`;
  return w0 === 0 || isAssigned(w0) || ipv6PrefixLength === 128 ? short : `${short}/${ipv6PrefixLength}`;
}

/** Unique local (fc00::/7) and link-local (fe80::/10) addresses. */
function isAssigned(first: number): boolean {
  return first >>> 25 === 0xfc >>> 1 || first >>> 22 === 0xfe80 >>> 6;
}

function mask(words: CallerWords, bits: number): void {
  for (let i = 0; i < 4; i++) {
    const kept = bits - 32 * i;
    if (kept <= 0) words[i] = 0;
    else if (kept < 32) words[i] = (words[i] as number) & (-1 << (32 - kept));
  }
}

function readIpv4(text: string, start: number, words: CallerWords): boolean {
  let value = 0;
  let octet = -1;
  let octets = 0;
  for (let i = start; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0 || octet > 255) return false;
      value = (value << 8) | octet;
      octet = -1;
      octets++;
    } else if (code >= 0x30 && code <= 0x39) octet = (octet < 0 ? 0 : octet * 10) + code - 0x30;
    else return false;
  }
  words[0] = 0;
  words[1] = 0;
  words[2] = MAPPED;
  words[3] = value;
  return octets === 4;
}

function readIpv6(text: string, words: CallerWords): boolean {
  words.fill(0);
  const lastColon = text.lastIndexOf(':');
  // Dotted decimals at the end: mapped IPv4, the only such form that a socket states.
  if (text.indexOf('.', lastColon) > 0) return readIpv4(text, lastColon + 1, words);
  let group = -1;
  let groups = 0;
  let gapAt = -1;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? PERCENT : text.charCodeAt(i);
    if (code === COLON || code === PERCENT) {
      if (group >= 0) {
        if (groups === 8) return false;
        put(words, groups++, group);
        group = -1;
      }
      if (code === PERCENT) break;
      if (text.charCodeAt(i + 1) === COLON) {
        if (gapAt >= 0) return false;
        gapAt = groups;
      }
    } else {
      const digit = hexDigit(code);
      if (digit < 0 || group > 0xfff) return false;
      group = (group < 0 ? 0 : group * 16) + digit;
    }
  }
  if (gapAt < 0) return groups === 8;
  // What follows the gap belongs at the end.
  for (let from = groups - 1, to = 7; from >= gapAt && from !== to; from--, to--) {
    const value = take(words, from);
    put(words, to, value);
  }
  return groups < 8;
}

function put(words: CallerWords, group: number, value: number): void {
  const shift = (group & 1) === 0 ? 16 : 0;
  words[group >> 1] = ((words[group >> 1] as number) & ~(0xffff << shift)) | (value << shift);
}

/** Reads a group and zeroes it. */
function take(words: CallerWords, group: number): number {
  const shift = (group & 1) === 0 ? 16 : 0;
  const value = ((words[group >> 1] as number) >>> shift) & 0xffff;
  words[group >> 1] = (words[group >> 1] as number) & ~(0xffff << shift);
  return value;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
