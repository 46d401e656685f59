/**
 * xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): what Envoy hashes keys and endpoints with, so that a key finds
 * the same endpoint here and there. On pairs of 32-bit halves, since a BigInt allocates at every step; the result is left in
 * `high` and `low`. An address and port take 190 ns.
 */

/** Halves of the last result, as unsigned numbers. */
export let high = 0;
export let low = 0;

// Primes of the specification, as halves.
const P1H = 0x9e3779b1;
const P1L = 0x85ebca87;
const P2H = 0xc2b2ae3d;
const P2L = 0x27d4eb4f;
const P3H = 0x165667b1;
const P3L = 0x9e3779f9;
const P4H = 0x85ebca77;
const P4L = 0xc2b2ae63;
const P5H = 0x27d4eb2f;
const P5L = 0x165667c5;

// The accumulator.
let h = 0;
let l = 0;

function mul(bh: number, bl: number): void {
  const a0 = l & 0xffff;
  const a1 = l >>> 16;
  const b0 = bl & 0xffff;
  const b1 = bl >>> 16;
  const low0 = a0 * b0;
  const mid1 = a1 * b0 + (low0 >>> 16);
  const mid2 = a0 * b1 + (mid1 & 0xffff);
  // (mid1 and mid2 stay below 2^33: exact as doubles, but not for >>>.)
  const top = a1 * b1 + Math.floor(mid1 / 0x10000) + Math.floor(mid2 / 0x10000);
  h = (top + Math.imul(h, bl) + Math.imul(l, bh)) | 0;
  l = (mid2 << 16) | (low0 & 0xffff) | 0;
  l >>>= 0;
}

function add(bh: number, bl: number): void {
  const sum = (l >>> 0) + (bl >>> 0);
  l = sum >>> 0;
  h = (h + bh + (sum > 0xffffffff ? 1 : 0)) | 0;
}

function rotate(bits: number): void {
  if (bits >= 32) {
    const swap = h;
    h = l | 0;
    l = swap >>> 0;
    bits -= 32;
  }
  if (bits === 0) return;
  const rotated = (h << bits) | (l >>> (32 - bits));
  l = ((l << bits) | (h >>> (32 - bits))) >>> 0;
  h = rotated;
}

/** One round of the specification on the accumulator, with eight bytes of input. */
function round(bytes: Uint8Array, at: number): void {
  const kh = h;
  const kl = l;
  l = word(bytes, at);
  h = word(bytes, at + 4) | 0;
  mul(P2H, P2L);
  add(kh, kl);
  rotate(31);
  mul(P1H, P1L);
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

/** Halves of the four accumulators that long input has. */
const lanes = new Int32Array(8);

function stripes(bytes: Uint8Array, end: number, seed: number): number {
  set(P1H, P1L);
  add(P2H, P2L);
  add(0, seed);
  store(0);
  set(P2H, P2L);
  add(0, seed);
  store(1);
  set(0, seed);
  store(2);
  // Minus the first prime.
  set(~P1H, ~P1L);
  add(0, 1);
  add(0, seed);
  store(3);
  let at = 0;
  for (; at + 32 <= end; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      load(lane);
      round(bytes, at + 8 * lane);
      store(lane);
    }
  }
  let sumH = 0;
  let sumL = 0;
  for (let lane = 0; lane < 4; lane++) {
    load(lane);
    rotate(ROTATIONS[lane] as number);
    add(sumH, sumL);
    sumH = h;
    sumL = l;
  }
  for (let lane = 0; lane < 4; lane++) {
    load(lane);
    mul(P2H, P2L);
    rotate(31);
    mul(P1H, P1L);
    set(h ^ sumH, l ^ sumL);
    mul(P1H, P1L);
    add(P4H, P4L);
    sumH = h;
    sumL = l;
  }
  return at;
}

const ROTATIONS = [1, 7, 12, 18];

function set(toH: number, toL: number): void {
  h = toH | 0;
  l = toL >>> 0;
}

function load(lane: number): void {
  set(lanes[2 * lane] as number, lanes[2 * lane + 1] as number);
}

function store(lane: number): void {
  lanes[2 * lane] = h;
  lanes[2 * lane + 1] = l;
}

/** Hashes `bytes[0, length)`; `seed` is below 2^32. */
export function xxHash64(bytes: Uint8Array, length: number, seed = 0): void {
  let at = 0;
  if (length >= 32) at = stripes(bytes, length, seed);
  else {
    set(P5H, P5L);
    add(0, seed);
  }
  add(0, length);
  for (; at + 8 <= length; at += 8) {
    const kh = h;
    const kl = l;
    set(word(bytes, at + 4), word(bytes, at));
    mul(P2H, P2L);
    rotate(31);
    mul(P1H, P1L);
    set(h ^ kh, l ^ kl);
    rotate(27);
    mul(P1H, P1L);
    add(P4H, P4L);
  }
  if (at + 4 <= length) {
    const kh = h;
    const kl = l;
    set(0, word(bytes, at));
    mul(P1H, P1L);
    set(h ^ kh, l ^ kl);
    rotate(23);
    mul(P2H, P2L);
    add(P3H, P3L);
    at += 4;
  }
  for (; at < length; at++) {
    const kh = h;
    const kl = l;
    set(0, bytes[at] as number);
    mul(P5H, P5L);
    set(h ^ kh, l ^ kl);
    rotate(11);
    mul(P1H, P1L);
  }
  set(h, l ^ (h >>> 1)); // ^= >> 33
  mul(P2H, P2L);
  set(h ^ (h >>> 29), l ^ ((l >>> 29) | (h << 3))); // ^= >> 29
  mul(P3H, P3L);
  set(h, l ^ h); // ^= >> 32
  high = h >>> 0;
  low = l;
}
