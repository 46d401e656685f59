/**
 * Huffman code of RFC 7541 appendix B. The code is canonical, so the lengths say it all; everything else is built
 * from them at load, once per worker.
 *
 * Decoding takes a byte a step: one look-up by (node of the code's tree, byte) tells the next node and the symbols
 * that the byte completed, two at most because the shortest code has five bits. No branch in the loop; the table's
 * 256 KiB are rarely touched beyond the nodes of short codes.
 */
import { OCTETS } from './octets.ts';

/** Bits per octet; the 257th, EOS, has 30. */
const LENGTH_TEXT =
  '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 ' +
  '6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 ' +
  '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 ' +
  '15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 ' +
  '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 ' +
  '22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 ' +
  '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 ' +
  '20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 ' +
  '30';
const EOS = 256;

/** Length and code of each octet. */
export const CODE_LENGTHS: Uint8Array = Uint8Array.from(LENGTH_TEXT.split(' '), Number);
export const CODES: Uint32Array = canonicalCodes();

/*
 * A step of the decoder: first symbol in bits 0-7, second in 8-15, their number in 16-17, facts of both (OCTETS) in
 * 18-19, next node in 22-29, FAILED when the byte completed EOS (RFC 7541 section 5.2).
 */
const FAILED = 1 << 30;
const steps = new Int32Array(256 * 256);
/** 1 for nodes at which a string may end: at most 7 bits beyond the last symbol, all ones. */
const mayEnd = new Uint8Array(256);
buildSteps();

/** Facts (OCTETS) of the string that `huffmanDecode` has just decoded. */
export let decodedFacts = 0;

/**
 * Decodes `bytes[start, end)` to `out` from `at`; returns where the text ends, or -1 when the code is faulty. `out` has
 * room for 8 / 5 of the bytes and one more.
 */
export function huffmanDecode(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let to = at;
  let step = 0;
  let seen = 0;
  for (let i = start; i < end; i++) {
    step = steps[((step >>> 14) & 0xff00) | bytes[i]];
    out[to] = step;
    out[to + 1] = step >>> 8;
    to += (step >>> 16) & 3;
    seen |= step;
  }
  if ((seen & FAILED) !== 0 || mayEnd[(step >>> 22) & 0xff] === 0) return -1;
  decodedFacts = (seen >>> 18) & 3;
  return to;
}

function canonicalCodes(): Uint32Array {
  const codes = new Uint32Array(257);
  let code = 0;
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) if (CODE_LENGTHS[symbol] === length) codes[symbol] = code++;
    code *= 2;
  }
  return codes;
}

/** Nodes are the 256 inner ones of the code's tree, the root 0; leaves are -1 - symbol. */
function buildSteps(): void {
  const children: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = CODE_LENGTHS[symbol] - 1; bit >= 0; bit--) {
      const side = (CODES[symbol] >>> bit) & 1;
      const pair = children[node] as [number, number];
      if (bit === 0) pair[side] = -1 - symbol;
      else {
        if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
        node = pair[side] as number;
      }
    }
  }
  for (let node = 0, bits = 0; bits <= 7; bits++) {
    mayEnd[node] = 1;
    node = (children[node] as [number, number])[1] as number;
  }
  for (let node = 0; node < 256; node++)
    for (let byte = 0; byte < 256; byte++) steps[(node << 8) | byte] = stepOf(children, node, byte);
}

function stepOf(children: readonly [number, number][], from: number, byte: number): number {
  let node = from;
  let count = 0;
  let step = 0;
  for (let bit = 7; bit >= 0; bit--) {
    node = (children[node] as [number, number])[(byte >>> bit) & 1] as number;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === EOS) return FAILED;
    step |= (symbol << (8 * count++)) | (OCTETS[symbol] << 18);
    node = 0;
  }
  return step | (count << 16) | (node << 22);
}
