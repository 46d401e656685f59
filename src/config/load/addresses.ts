/**
 * Leaves that are addresses. Listeners and endpoints take IP addresses only: a name in their place would
 * be resolved at a moment nobody chose, so `dns` is a field of its own. IPv6 stands in brackets, and has
 * to be quoted, because YAML reads `[` as the start of a list.
 */
import { isIP } from 'node:net';
import { networkOf, parseIpRange } from '../../base/index.ts';
import { type Leaf, leaf, Refusal, text } from './scalar.ts';

export interface HostPort {
  /** An IP address without brackets, a name, or empty for `:port`. */
  readonly host: string;
  readonly port: number;
}

const HOST_PORT = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^[\]:]*)):([0-9]{1,5})$/;

/** Undefined when `written` is not `host:port` with a port of at most 65535. */
export function parseHostPort(written: string): HostPort | undefined {
  const parts = HOST_PORT.exec(written);
  if (parts === null) return undefined;
  const host = parts[1] ?? parts[2] ?? '';
  const port = Number(parts[3]);
  if (port > 65_535 || (parts[1] !== undefined && isIP(host) !== 6)) return undefined;
  return { host: isIP(host) === 6 ? host.toLowerCase() : host, port };
}

/** Where to listen: `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every address); port 0 takes any free one. */
export function listenAddress(): Leaf<HostPort> {
  return address(
    'an IP address and port to listen on, such as 127.0.0.1:8080, "[::1]:8080" or :8080',
    0,
    (at) => {
      if (at.host === '' || isIP(at.host) !== 0) return null;
      if (at.host === '*') return `write :${at.port} for every address`;
      if (at.host === 'localhost') return `write 127.0.0.1:${at.port}`;
      return 'write the IP address of an interface; a name may mean several';
    },
  );
}

/** One address behind a service. */
export function endpointAddress(): Leaf<HostPort> {
  return address('an IP address and port such as 10.0.0.7:8080 or "[fd00::7]:8080"', 1, (at) => {
    if (at.host === '') return `write the address in front of the port, such as 127.0.0.1:${at.port}`;
    if (isIP(at.host) !== 0)
      return at.host === '0.0.0.0' || at.host === '::' ? 'no endpoint has this address' : null;
    if (at.host === 'localhost') return `write 127.0.0.1:${at.port}`;
    return `a name has to be resolved: write dns: ${at.host}:${at.port} in the service, in place of endpoints`;
  });
}

/** A name to resolve, and the port behind each of its addresses. */
export function dnsAddress(): Leaf<HostPort> {
  return address('a DNS name and port such as cart.shop.svc:8080', 1, (at) => {
    if (isIP(at.host) !== 0) return `this is an address: write endpoints: [{ address: "${bracket(at)}" }]`;
    if (/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$/.test(at.host)) return null;
    return 'write the name as DNS knows it, without scheme and path';
  });
}

function bracket(at: HostPort): string {
  return isIP(at.host) === 6 ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`;
}

function address(expected: string, minPort: number, fault: (at: HostPort) => string | null): Leaf<HostPort> {
  return leaf<HostPort>({
    expected,
    json: { type: 'string' },
    read(value) {
      if (typeof value === 'number')
        return new Refusal(`write the port with its address: "127.0.0.1:${value}"`);
      if (Array.isArray(value)) return new Refusal('quote an IPv6 address: "[::1]:8080"');
      if (typeof value !== 'string') return new Refusal(null);
      const at = parseHostPort(value);
      if (at === undefined) return new Refusal(addressCure(value));
      if (at.port < minPort) return new Refusal(`write a port from ${minPort} to 65535`);
      const cure = fault(at);
      return cure === null ? at : new Refusal(cure);
    },
  });
}

/** Addresses in CIDR notation, or one address. */
export function ipRange(): Leaf<string> {
  return text({
    expected: 'a range of addresses such as 10.0.0.0/8 or "fd00::/8", or one address',
    json: { examples: ['10.0.0.0/8', 'fd00::/8', '127.0.0.1'] },
    read(written) {
      if (parseIpRange(written) !== null) return written.toLowerCase();
      const network = networkOf(written);
      if (network !== null)
        return new Refusal(`the range that it is in begins at its first address: ${network}`);
      if (written.includes('-')) return new Refusal('write the range as ADDRESS/BITS');
      return new Refusal(parseHostPort(written) === undefined ? null : 'leave the port out');
    },
  });
}

function addressCure(written: string): string | null {
  if (written.includes('://')) return 'write HOST:PORT alone, without scheme and path';
  if (isIP(written) === 6) return `write it in brackets, with a port: "[${written}]:8080"`;
  if (/^[0-9]+$/.test(written)) return `write the port with its address: "127.0.0.1:${written}"`;
  if (/^[^:]+$/.test(written)) return `add the port: ${written}:8080`;
  if (/:[0-9]{5,}$/.test(written)) return 'ports end at 65535';
  if ((written.match(/:/g)?.length ?? 0) > 1) return 'write an IPv6 address in brackets: "[fd00::7]:8080"';
  return null;
}
