/** Frames and header blocks of HTTP/2 as bytes, made without the code that is tested: what a test says is what is sent. */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const WITH_PRIORITY = 0x20;

const NONE = Buffer.alloc(0);

export function frame(type: number, flags: number, stream: number, payload: Buffer = NONE): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, 9);
  return bytes;
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}

/** id, value, id, value. */
export function settings(...values: readonly number[]): Buffer {
  const payload = Buffer.alloc(values.length * 3);
  for (let i = 0; i + 1 < values.length; i += 2) {
    payload.writeUInt16BE(values[i] as number, i * 3);
    payload.writeUInt32BE(values[i + 1] as number, i * 3 + 2);
  }
  return frame(TYPE.settings, 0, 0, payload);
}

export const SETTINGS_ACK = frame(TYPE.settings, ACK, 0);
export const PING = frame(TYPE.ping, 0, 0, Buffer.alloc(8));
export const INITIAL_WINDOW = 4;
export const MAX_STREAMS = 3;
export const TABLE_SIZE = 1;

export const windowUpdate = (stream: number, increment: number): Buffer =>
  frame(TYPE.windowUpdate, 0, stream, uint32(increment));
export const rst = (stream: number, code = 8): Buffer => frame(TYPE.rstStream, 0, stream, uint32(code));
export const goaway = (last: number, code = 0, debug = ''): Buffer =>
  frame(TYPE.goaway, 0, 0, Buffer.concat([uint32(last, code), Buffer.from(debug, 'latin1')]));
export const data = (stream: number, payload: Buffer | string, flags = 0): Buffer =>
  frame(TYPE.data, flags, stream, Buffer.from(payload as string, 'latin1'));

/** A string literal of HPACK without Huffman (RFC 7541 section 5.2). */
export function text(value: string): Buffer {
  return Buffer.concat([integer(value.length, 7, 0), Buffer.from(value, 'latin1')]);
}

/** An integer of HPACK with a prefix of so many bits. */
export function integer(value: number, bits: number, first: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** A literal field: `0x40` indexed, `0x00` not, `0x10` never. */
export function field(name: string, value: string, how = 0): Buffer {
  return Buffer.concat([Buffer.from([how]), text(name), text(value)]);
}

/** Header block of a request; `fields` are names and values, in whatever order and case. */
export function requestBlock(
  method: string,
  path: string,
  fields: readonly (readonly [string, string])[] = [],
): Buffer {
  const known: Readonly<Record<string, number>> = { GET: 0x82, POST: 0x83 };
  const first = known[method];
  return Buffer.concat([
    first === undefined ? field(':method', method) : Buffer.from([first]),
    Buffer.from([0x86]), // :scheme http
    path === '/' ? Buffer.from([0x84]) : Buffer.concat([Buffer.from([0x04]), text(path)]),
    Buffer.from([0x01]), // :authority, not indexed
    text('test'),
    ...fields.map(([name, value]) => field(name, value)),
  ]);
}

/** Flags of a frame that neither ends its stream nor its header block. */
export const OPEN = 0;
export const continuation = (stream: number, payload: Buffer, flags = OPEN): Buffer =>
  frame(TYPE.continuation, flags, stream, payload);
export const headers = (stream: number, block: Buffer, flags = END_HEADERS): Buffer =>
  frame(TYPE.headers, flags, stream, block);
export const get = (stream: number, path = '/'): Buffer =>
  headers(stream, requestBlock('GET', path), END_HEADERS | END_STREAM);
export const post = (
  stream: number,
  path = '/',
  fields: readonly (readonly [string, string])[] = [],
): Buffer => headers(stream, requestBlock('POST', path, fields));
/** The head of an answer: 200, or what else the static table or a literal has. */
export const answer = (stream: number, flags = END_HEADERS, status = 200): Buffer =>
  headers(stream, status === 200 ? Buffer.from([0x88]) : field(':status', String(status)), flags);

export type Field = readonly [name: string, value: string];

export function requestFields(method: string, path: string, authority = 'shop'): Field[] {
  return [
    [':method', method],
    [':scheme', 'http'],
    [':authority', authority],
    [':path', path],
  ];
}

/** Literals without a table and without Huffman codes (RFC 7541 section 6.2); those named by `sensitive` are never indexed. */
export function blockOf(fields: readonly Field[], sensitive: readonly string[] = []): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => field(name, value, sensitive.includes(name) ? 0x10 : 0)),
  );
}
