/**
 * Consistent hashing: a key has an endpoint, and keeps it as long as that may be used. What ring and table have in common is
 * a row of places with an endpoint each, in which a key has a place. An endpoint that may not be used (unhealthy, ejected,
 * tried already, over its bound) is passed over along the row, so that its keys are shared out among the others, and come back
 * with it.
 *
 * Bounded load (Mirrokni, Thorup, Zadimoghaddam, arXiv:1608.01350): with `hashBalanceFactor` 150 no endpoint is given a request
 * beyond 1.5 times its share of those in flight; it goes on along the row.
 */
import type { ConsistentHashConfig, EndpointConfig } from '../../config/index.ts';
import type { PickState } from './picker.ts';
import { BEST, type Group, PolicyPicker } from './policy-picker.ts';

export abstract class HashPicker extends PolicyPicker {
  protected readonly hashing: ConsistentHashConfig;
  /** By position: what of the endpoint is hashed, and its share of all weights. */
  protected readonly keys: readonly string[];
  protected readonly shares: readonly number[];
  /** By position: the walk that came by last, so that each endpoint is looked at once. */
  private readonly seen: Int32Array;
  private walks = 0;

  constructor(group: Group) {
    super(group);
    this.hashing = group.loadBalancer.consistentHash as ConsistentHashConfig;
    this.keys = group.members.map(({ endpoint }) => hostPort(endpoint));
    const total = this.weights.reduce((sum, weight) => sum + weight, 0);
    this.shares = this.weights.map((weight) => weight / total);
    this.seen = new Int32Array(this.size);
  }

  /** How many places there are. */
  protected abstract get places(): number;

  /** The position of the endpoint at a place. */
  protected abstract positionAt(place: number): number;

  /** The place of the request's key. */
  protected abstract placeOf(state: PickState): number;

  propose(state: PickState): number {
    const position = this.positionAt(this.placeOf(state));
    return this.fits(position, BEST, state) && this.load(position, state, this.inFlight(state)) < 1
      ? position
      : -1;
  }

  /** Along the row, from the key's place on. Where all are over their bound: the least so. */
  protected override walk(fit: number, state: PickState): number {
    const { places, seen, size } = this;
    const walk = ++this.walks;
    let chosen = -1;
    let least = Number.POSITIVE_INFINITY;
    let place = this.placeOf(state);
    const inFlight = this.inFlight(state);
    for (let looked = 0, steps = 0; looked < size && steps < places; steps++) {
      const position = this.positionAt(place);
      place = place + 1 === places ? 0 : place + 1;
      if (seen[position] === walk) continue;
      seen[position] = walk;
      looked++;
      if (!this.fits(position, fit, state)) continue;
      const load = this.load(position, state, inFlight);
      if (load < 1) return position;
      if (load < least) {
        least = load;
        chosen = position;
      }
    }
    return chosen;
  }

  share(position: number): number {
    return this.weights[position] as number;
  }

  /** Requests at all endpoints, this one included; looked up only where a bound asks for it. */
  private inFlight({ view }: PickState): number {
    let all = 1;
    if (this.hashing.hashBalanceFactor > 0) for (const slot of this.slots) all += view.active(slot);
    return all;
  }

  /** The endpoint's requests in flight, as a part of what it may have; from 1 on it may have no more. */
  private load(position: number, { view }: PickState, inFlight: number): number {
    const { hashBalanceFactor } = this.hashing;
    if (hashBalanceFactor === 0) return 0;
    const bound = Math.ceil((inFlight * hashBalanceFactor * (this.shares[position] as number)) / 100);
    return view.active(this.slots[position] as number) / Math.max(1, bound);
  }
}

/** As Envoy writes an address. */
function hostPort({ address, port }: EndpointConfig): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
