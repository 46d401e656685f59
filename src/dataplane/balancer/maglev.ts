/**
 * Maglev's table (Eisenbud et al., NSDI 2016, section 3.4), as Envoy fills it (maglev_lb.cc): endpoints take turns, by weight, in
 * taking the next free place of a sequence of their own. A look-up is one division, and shares are even to a place. When an
 * endpoint leaves the list some keys of others move as well (of ten endpoints 0.2 %, test/balancer).
 */
import { HashPicker } from './hash-picker.ts';
import type { PickState } from './picker.ts';
import type { Group } from './policy-picker.ts';
import { high, low, xxHash64 } from './xxhash64.ts';

export class MaglevPicker extends HashPicker {
  private readonly table: Int32Array;

  constructor(group: Group) {
    super(group);
    this.table = fill(this.keys, this.shares, this.hashing.tableSize);
  }

  protected get places(): number {
    return this.table.length;
  }

  protected positionAt(place: number): number {
    return this.table[place] as number;
  }

  protected placeOf({ hashHigh, hashLow }: PickState): number {
    return remainder(hashHigh, hashLow, this.table.length);
  }
}

function fill(keys: readonly string[], shares: readonly number[], size: number): Int32Array {
  const table = new Int32Array(keys.length === 0 ? 0 : size).fill(-1);
  // Whatever the order in which endpoints are listed, the table is the same.
  const order = keys
    .map((_, position) => position)
    .sort((a, b) => compare(keys[a] as string, keys[b] as string));
  const next = new Float64Array(keys.length);
  const skips = new Float64Array(keys.length);
  const targets = new Float64Array(keys.length);
  for (const [position, text] of keys.entries()) {
    const bytes = Buffer.from(text, 'latin1');
    xxHash64(bytes, bytes.length);
    next[position] = remainder(high, low, size);
    xxHash64(bytes, bytes.length, 1);
    skips[position] = remainder(high, low, size - 1) + 1;
  }
  const most = Math.max(...shares);
  let filled = 0;
  for (let turn = 1; filled < table.length; turn++) {
    for (const position of order) {
      if (filled === table.length) break;
      if (turn * (shares[position] as number) < (targets[position] as number)) continue;
      targets[position] = (targets[position] as number) + most;
      let place = next[position] as number;
      while (table[place] !== -1) place = (place + (skips[position] as number)) % size;
      table[place] = position;
      next[position] = (place + (skips[position] as number)) % size;
      filled++;
    }
  }
  return table;
}

/** Of a 64-bit number; `divisor` is below 2^21. */
function remainder(top: number, bottom: number, divisor: number): number {
  return ((top % divisor) * (TWO_32 % divisor) + bottom) % divisor;
}

const TWO_32 = 2 ** 32;

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
