/**
 * Ketama's ring, as Envoy builds it (ring_hash_lb.cc): each endpoint has points on it by its weight, and a key belongs to
 * the endpoint of the next point. When an endpoint leaves the list its keys go to its neighbours; the others get more points,
 * as the ring has a least size, and with them some keys of one another (of ten endpoints 7 %, test/balancer).
 */
import { HashPicker } from './hash-picker.ts';
import type { PickState } from './picker.ts';
import type { Group } from './policy-picker.ts';
import { high, low, xxHash64 } from './xxhash64.ts';

/** An address, an underscore and a number. */
const key = Buffer.alloc(96);

export class RingHashPicker extends HashPicker {
  /** Halves of the points, in ascending order, and the position that each stands for. */
  private readonly highs: Uint32Array;
  private readonly lows: Uint32Array;
  private readonly positions: Int32Array;

  constructor(group: Group) {
    super(group);
    const { minimumRingSize, maximumRingSize } = this.hashing;
    const counts = pointsOf(this.shares, minimumRingSize, maximumRingSize);
    const size = counts.reduce((sum, count) => sum + count, 0);
    const highs = new Uint32Array(size);
    const lows = new Uint32Array(size);
    const owners = new Int32Array(size);
    let at = 0;
    for (const [position, count] of counts.entries()) {
      const start = key.write(`${this.keys[position]}_`, 'latin1');
      for (let i = 0; i < count; i++) {
        xxHash64(key, start + key.write(String(i), start, 'latin1'));
        highs[at] = high;
        lows[at] = low;
        owners[at++] = position;
      }
    }
    const order = Uint32Array.from({ length: size }, (_, i) => i).sort(
      (a, b) =>
        (highs[a] as number) - (highs[b] as number) || (lows[a] as number) - (lows[b] as number) || a - b,
    );
    this.highs = order.map((i) => highs[i] as number);
    this.lows = order.map((i) => lows[i] as number);
    this.positions = Int32Array.from(order, (i) => owners[i] as number);
  }

  protected get places(): number {
    return this.positions.length;
  }

  protected positionAt(place: number): number {
    return this.positions[place] as number;
  }

  /** The first point at or after the key, round the end. */
  protected placeOf({ hashHigh, hashLow }: PickState): number {
    const { highs, lows } = this;
    let from = 0;
    let to = highs.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const point = highs[middle] as number;
      if (point < hashHigh || (point === hashHigh && (lows[middle] as number) < hashLow)) from = middle + 1;
      else to = middle;
    }
    return from === highs.length ? 0 : from;
  }
}

/**
 * How many points each endpoint gets: the one with the least weight a whole number, the others in proportion, as running sums
 * so that the ring has the size it is to have.
 */
function pointsOf(shares: readonly number[], minimum: number, maximum: number): number[] {
  const least = Math.min(...shares);
  const scale = Math.min(Math.ceil(least * minimum) / least, maximum);
  let target = 0;
  let made = 0;
  return shares.map((share) => {
    target += scale * share;
    const before = made;
    while (made < target) made++;
    return made - before;
  });
}
