/** Feeds header blocks in hexadecimal to a decoder and writes down what comes out, a field a line. */
import {
  type HeaderBlock,
  type HeaderLimits,
  HpackDecoder,
} from '../../../src/dataplane/codec/http2/index.ts';

export const LIMITS: HeaderLimits = { listBytes: 16_384, fieldCount: 100 };

/** `[name, blocks separated by |, ...lines]`; a line `--` stands between the fields of two blocks. */
export type BlockCase = readonly [name: string, blocks: string, ...lines: string[]];

export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replace(/\s/g, ''), 'hex');
}

export function replayBlocks(
  blocks: readonly Buffer[],
  tableLimit = 4_096,
  limits: HeaderLimits = LIMITS,
): string[] {
  const decoder = new HpackDecoder(limits, tableLimit);
  const lines: string[] = [];
  for (const [i, bytes] of blocks.entries()) {
    if (i > 0) lines.push('--');
    // Poison around it: a decoder that reads beyond `end` is found out.
    const within = Buffer.concat([Buffer.of(0x82), bytes, Buffer.of(0x82, 0x82)]);
    const block = decoder.decode(within, 1, 1 + bytes.length);
    if (block === null) {
      lines.push(`error ${decoder.error}`);
      break;
    }
    lines.push(...linesOf(block));
  }
  return lines;
}

export function linesOf(block: HeaderBlock): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(block.pseudo))
    if (value !== null) lines.push(`:${name}: ${value}`);
  block.takeHeaders().forEach((name, value) => {
    lines.push(`${name}: ${value}`);
  });
  if (block.fault !== '') lines.push(`fault ${block.fault}`);
  if (block.tooLarge !== '') lines.push(`too large ${block.tooLarge}`);
  return lines;
}

/** A literal that is not indexed, uncoded: what no encoder of ours would send. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), stringOf(name), stringOf(value)]);
}

function stringOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const rest = bytes.length - 127;
  if (rest < 128) return Buffer.concat([Buffer.of(127, rest), bytes]);
  return Buffer.concat([Buffer.of(127, (rest & 127) | 128, rest >> 7), bytes]);
}
