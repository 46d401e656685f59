/** Addresses as text: enough to tell one from anything else, without a socket library. */

/** An IPv4 address, or an IPv6 one (RFC 4291 section 2.2), without port, brackets or zone. */
export function isIpAddress(text: string): boolean {
  return IPV4.test(text) || isIpv6(text);
}

/** An IPv4 peer of a socket that listens on both families is `::ffff:1.2.3.4`; this is `1.2.3.4`. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && IPV4.test(address.slice(7)) ? address.slice(7) : address;
}

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const GROUP = /^[0-9a-fA-F]{1,4}$/;
const LONGEST_IPV6 = 45;

function isIpv6(text: string): boolean {
  if (text.length > LONGEST_IPV6 || !text.includes(':')) return false;
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  for (let h = 0; h < halves.length; h++) {
    const half = halves[h] as string;
    if (half === '' && halves.length === 2) continue;
    const parts = half.split(':');
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] as string;
      const last = h === halves.length - 1 && i === parts.length - 1;
      if (last && IPV4.test(part)) groups += 2;
      else if (GROUP.test(part)) groups++;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}
