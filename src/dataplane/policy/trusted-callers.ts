/**
 * Who may steer this proxy by `x-envoy-*` fields (Envoy: an "internal" request, by `internal_address_config`): the peer and every
 * address that `x-forwarded-for` names have to be in the ranges, because a trusted proxy passes on what strangers sent it.
 */
import {
  type AddressWords,
  type IpRange,
  inRange,
  LIMITS,
  parseAddress,
  parseIpRange,
} from '../../base/index.ts';
import { H, type HeaderList, listElements } from '../../message/index.ts';

const made = new WeakMap<readonly string[], TrustedCallers>();

export class TrustedCallers {
  private readonly ranges: readonly IpRange[];
  /** Addresses come again and again. */
  private readonly known = new Map<string, boolean>();

  private constructor(ranges: readonly string[]) {
    this.ranges = ranges.map(parseIpRange).filter((range) => range !== null);
  }

  /** Of a list in a configuration, which was checked; made once for each. */
  static of(ranges: readonly string[]): TrustedCallers {
    let callers = made.get(ranges);
    if (callers === undefined) {
      callers = new TrustedCallers(ranges);
      made.set(ranges, callers);
    }
    return callers;
  }

  /** `headers` as they came. */
  trusts(peerAddress: string, headers: HeaderList): boolean {
    if (!this.has(peerAddress)) return false;
    const forwardedFor = headers.getAll(H['x-forwarded-for']);
    return forwardedFor === undefined || listElements(forwardedFor).every((address) => this.has(address));
  }

  has(address: string): boolean {
    const known = this.known.get(address);
    if (known !== undefined) return known;
    const words = parseAddress(address);
    // What is no address came from a field, and would be kept for nothing.
    if (words === null) return false;
    const trusted = this.contains(words);
    if (this.known.size >= LIMITS.knownCallers) this.known.clear();
    this.known.set(address, trusted);
    return trusted;
  }

  private contains(address: AddressWords): boolean {
    return this.ranges.some((range) => inRange(address, range));
  }
}
