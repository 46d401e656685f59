/**
 * Strings of HPACK (RFC 7541 section 5.2), Huffman-coded when that is shorter. Text is latin1, one code unit per octet;
 * what may not stand in a field value is replaced as HeaderList does for HTTP/1.1, because whoever turns the
 * message into HTTP/1.1 next would send it as a line of its own.
 */
import { copyBytes } from './decoder-table.ts';
import { CODE_LENGTHS, CODES } from './huffman.ts';
import { NOT_IN_VALUE, OCTETS } from './octets.ts';
import type { OutBuffer } from './out-buffer.ts';

/** Code and length of the octets whose code is short, `code << 4 | length`; 0 for all others. */
const SHORT = new Int32Array(256);
for (let octet = 0; octet < 256; octet++)
  if (CODE_LENGTHS[octet] < 16 && (OCTETS[octet] & NOT_IN_VALUE) === 0)
    SHORT[octet] = (CODES[octet] << 4) | CODE_LENGTHS[octet];
/** A code has 30 bits at most. */
const CODE_BYTES = 4;
/** Longer strings are sent as they are: hardly a field is, and the room to try would be four times that. */
const CODED_CHARS = 4 * 1_024;

/**
 * Where the text of a string is turned into octets: `charCodeAt` takes 3 ns on a string that is a slice of a head, as
 * nearly all values are, six times what it takes on any other.
 */
const octets = Buffer.allocUnsafeSlow(CODED_CHARS);
/** V8 knows that no string of one byte per character matches, and looks at none. */
const WIDE = /[^\x00-\xff]/;
const UNSAFE = /[^\t\x20-\x7e\x80-\xff]/g;
const EDGES = /^[\t ]+|[\t ]+$/g;

/** Text as it may be sent in a field. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, ' ').replace(EDGES, '');
}

/** Whether `safeText` would change the text. */
export function isSafe(text: string): boolean {
  const { length } = text;
  if (length === 0) return true;
  if (isSpace(text.charCodeAt(0)) || isSpace(text.charCodeAt(length - 1))) return false;
  return text.search(UNSAFE) < 0;
}

/** Appends an integer whose first byte's high bits are `first` and whose prefix is all ones at `prefix`; 6 bytes at most. */
export function writeInteger(
  bytes: Buffer,
  at: number,
  first: number,
  prefix: number,
  value: number,
): number {
  let to = at;
  if (value < prefix) {
    bytes[to++] = first | value;
    return to;
  }
  bytes[to++] = first | prefix;
  let rest = value - prefix;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes[to++] = (rest & 0x7f) | 0x80;
  bytes[to++] = rest;
  return to;
}

/** Appends a string, made safe where it is not. */
export function writeString(out: OutBuffer, text: string): void {
  const { length } = text;
  if (length > CODED_CHARS) {
    writePlain(out, safeText(text));
    return;
  }
  const bytes = out.reserve(CODE_BYTES * length + 4);
  // One pass: coded to where it will stand when its length takes one byte, which it nearly always does.
  const at = out.length + 1;
  const coded = WIDE.test(text) ? UNFIT : writeCoded(bytes, at, octets.write(text, 0, length, 'latin1'));
  if (coded === UNFIT) writeString(out, safeText(text));
  else if (coded >= length) {
    // Not coded: the octets as they are.
    const to = writeInteger(bytes, out.length, 0, 0x7f, length);
    copyBytes(octets, 0, bytes, to, length);
    out.length = to + length;
  } else {
    if (coded >= 0x7f) bytes.copyWithin(at + (coded < 0xff ? 1 : 2), at, at + coded);
    out.length = writeInteger(bytes, out.length, 0x80, 0x7f, coded) + coded;
  }
}

function writePlain(out: OutBuffer, text: string): void {
  const { length } = text;
  const bytes = out.reserve(length + 6);
  const at = writeInteger(bytes, out.length, 0, 0x7f, length);
  out.length = at + bytes.write(text, at, length, 'latin1');
}

/** Codes `octets[0, length)`. Returns the number of bytes, or UNFIT when one may not stand in a value. */
function writeCoded(bytes: Buffer, from: number, length: number): number {
  if (length > 0 && (isSpace(octets[0]) || isSpace(octets[length - 1]))) return UNFIT;
  let at = from;
  /** The low `held` bits are still to be written, 15 at most between two symbols. */
  let bits = 0;
  let held = 0;
  for (let i = 0; i < length; i++) {
    const octet = octets[i];
    const short = SHORT[octet];
    if (short !== 0) {
      const size = short & 15;
      bits = (bits << size) | (short >>> 4);
      held += size;
      if (held < 16) continue;
    } else {
      if ((OCTETS[octet] & NOT_IN_VALUE) !== 0) return UNFIT;
      const size = CODE_LENGTHS[octet] - 16;
      const code = CODES[octet];
      bits = (bits << size) | (code >>> 16);
      held += size;
      if (held >= 16) {
        held -= 16;
        bytes[at] = bits >>> (held + 8);
        bytes[at + 1] = bits >>> held;
        at += 2;
      }
      bits = (bits << 16) | (code & 0xffff);
      held += 16;
    }
    held -= 16;
    bytes[at] = bits >>> (held + 8);
    bytes[at + 1] = bits >>> held;
    at += 2;
  }
  if (held >= 8) {
    held -= 8;
    bytes[at++] = bits >>> held;
  }
  // RFC 7541 section 5.2: filled up with ones.
  if (held > 0) bytes[at++] = (bits << (8 - held)) | (0xff >>> held);
  return at - from;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const UNFIT = -1;
