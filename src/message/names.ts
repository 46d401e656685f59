/**
 * Field names that the data path asks for, as small integers. A codec tells them apart once, while it
 * scans the bytes anyway; after that a look-up is a search through a short array of integers instead of
 * a case-insensitive comparison per field. Names not listed here are looked up as lower-case strings.
 */

/** Order is free; ids are 1-based because 0 stands for any other name. */
const NAMES = [
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'keep-alive',
  'proxy-connection',
  'expect',
  'proxy-authenticate',
  'proxy-authorization',
  'date',
  'server',
  'via',
  'location',
  'retry-after',
  'content-type',
  'accept',
  'authorization',
  'cookie',
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-client-cert',
  'x-request-id',
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'uber-trace-id',
  'x-envoy-force-trace',
  'x-envoy-attempt-count',
  'x-ratelimit-reset',
  'x-envoy-ratelimited',
] as const;

export type KnownName = (typeof NAMES)[number];

/** Id of each known name: `H['content-length']`. */
export const H = Object.freeze(
  Object.fromEntries(NAMES.map((name, index) => [name, index + 1])) as Record<KnownName, number>,
);

const TABLE_SIZE = 512;
const table: number[] = new Array<number>(TABLE_SIZE).fill(0);
const lowered: Buffer[] = [Buffer.alloc(0), ...NAMES.map((name) => Buffer.from(name, 'latin1'))];
const collisions: number[][] = [];
const byName = new Map<string, number>();

for (let id = 1; id <= NAMES.length; id++) {
  const name = lowered[id] as Buffer;
  const slot = slotOf(
    name.length,
    name[0] as number,
    name[name.length - 1] as number,
    name[name.length >> 1] as number,
  );
  const taken = table[slot] as number;
  if (taken > 0) {
    collisions.push([taken, id]);
    table[slot] = -collisions.length;
  } else if (taken < 0) (collisions[-taken - 1] as number[]).push(id);
  else table[slot] = id;
  byName.set(NAMES[id - 1] as string, id);
}

/** Id of the field name in `bytes[start, end)`, in whatever case; 0 when it is not a known one. */
export function nameIdOfBytes(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 2) return 0;
  const found = table[
    slotOf(
      length,
      (bytes[start] as number) | 0x20,
      (bytes[end - 1] as number) | 0x20,
      (bytes[start + (length >> 1)] as number) | 0x20,
    )
  ] as number;
  if (found > 0) return sameName(bytes, start, lowered[found] as Buffer, length) ? found : 0;
  if (found === 0) return 0;
  for (const id of collisions[-found - 1] as number[]) {
    if (sameName(bytes, start, lowered[id] as Buffer, length)) return id;
  }
  return 0;
}

/** Id of a lower-case name; 0 when it is not a known one. */
export function nameIdOf(lowerName: string): number {
  return byName.get(lowerName) ?? 0;
}

/** The lower-case name of an id from `H`. */
export function nameOfId(id: number): string {
  return NAMES[id - 1] as string;
}

function slotOf(length: number, first: number, last: number, middle: number): number {
  return (length * 29 + first * 7 + last * 13 + middle * 3) & (TABLE_SIZE - 1);
}

function sameName(bytes: Uint8Array, start: number, name: Buffer, length: number): boolean {
  if (name.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const byte = bytes[start + i] as number;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name[i]) return false;
  }
  return true;
}
