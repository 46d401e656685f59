/** Frames and header blocks as bytes, made without the code that is tested: what a test says is what is sent. */
import type { Field } from './peers.ts';

export function requestFields(method: string, path: string, authority = 'shop'): Field[] {
  return [
    [':method', method],
    [':scheme', 'http'],
    [':authority', authority],
    [':path', path],
  ];
}

export function frameOf(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Literals without a table and without Huffman codes (RFC 7541 section 6.2): what it says is what was written. */
export function blockOf(fields: readonly Field[], sensitive: readonly string[] = []): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.of(sensitive.includes(name) ? 0x10 : 0),
      text(name),
      text(value),
    ]),
  );
}

function text(latin1: string): Buffer {
  const bytes = Buffer.from(latin1, 'latin1');
  const length: number[] = [Math.min(bytes.length, 127)];
  for (let rest = bytes.length - 127; rest >= 0; rest = rest >= 128 ? rest >>> 7 : -1)
    length.push(rest >= 128 ? (rest & 127) | 128 : rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
