/**
 * Host and authority: uri-host [ ":" port ] (RFC 9110 section 7.2, RFC 3986 section 3.2). Stricter than the
 * grammar in three points: the host is not empty, a comma is refused (it is what two joined Host fields look
 * like), and so are IPvFuture and zone identifiers, which mean nothing on another machine.
 */

/** unreserved and sub-delims without the comma. */
const REG_NAME = /^(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+$/;
const IPV6_PART = /^[0-9A-Fa-f]{1,4}$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;
const PORT = /^[0-9]{0,5}$/;

/** True for `host`, `host:port`, `host:` and `[v6]`, `[v6]:port`, with the port at most 65535. */
export function isAuthority(text: string): boolean {
  const colon = portColon(text);
  return (
    isHost(colon < 0 ? text : text.slice(0, colon)) && (colon < 0 || isPort(text.slice(colon + 1), true))
  );
}

/** The same with the port obligatory: a CONNECT target (RFC 9112 section 3.2.3). */
export function isHostAndPort(text: string): boolean {
  const colon = portColon(text);
  return colon >= 0 && isHost(text.slice(0, colon)) && isPort(text.slice(colon + 1), false);
}

/** The authority with more at the end of its host; an address in brackets gets it behind them, as in Envoy. */
export function addToHost(authority: string, more: string): string {
  const colon = portColon(authority);
  return colon < 0 ? authority + more : authority.slice(0, colon) + more + authority.slice(colon);
}

/** Where the port's colon is; -1: there is none. */
function portColon(text: string): number {
  return text.startsWith('[') ? text.indexOf(':', text.indexOf(']') + 1 || text.length) : text.indexOf(':');
}

function isHost(host: string): boolean {
  if (!host.startsWith('[')) return REG_NAME.test(host);
  return host.endsWith(']') && isIpv6(host.slice(1, -1));
}

function isPort(port: string, mayBeEmpty: boolean): boolean {
  return PORT.test(port) && Number(port) <= 65_535 && (mayBeEmpty || Number(port) > 0);
}

/** RFC 4291 section 2.2: eight groups, one run of zero groups as `::`, the last two perhaps as an IPv4 address. */
function isIpv6(text: string): boolean {
  const gap = text.indexOf('::');
  if (gap >= 0 && text.indexOf('::', gap + 1) >= 0) return false;
  const before = gap < 0 ? text : text.slice(0, gap);
  const after = gap < 0 ? '' : text.slice(gap + 2);
  const head = before === '' ? 0 : groupsOf(before, gap < 0);
  const tail = after === '' ? 0 : groupsOf(after, true);
  if (head < 0 || tail < 0) return false;
  return gap < 0 ? head === 8 : head + tail <= 7;
}

/** Number of 16-bit groups in `text`, -1 when one is malformed. */
function groupsOf(text: string, last: boolean): number {
  const parts = text.split(':');
  let count = 0;
  for (let i = 0; i < parts.length; i++) {
    if (last && i === parts.length - 1 && IPV4.test(parts[i])) count += 2;
    else if (IPV6_PART.test(parts[i])) count++;
    else return -1;
  }
  return count;
}
