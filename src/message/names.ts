/**
 * Field names that the data path asks for, as small integers. A codec tells them apart once, while it
 * scans the bytes anyway; after that a look-up is a search through a short array of integers instead of
 * a case-insensitive comparison per field. Names not listed here are looked up as lower-case strings.
 */
import { invariant } from '../base/index.ts';

/** Order is free; ids are 1-based because 0 stands for any other name, and end before `X_ENVOY`. */
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
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-upstream-service-time',
  'x-ratelimit-reset',
  'x-envoy-ratelimited',
  'jaeger-debug-id',
  'grpc-status',
  'grpc-message',
  'grpc-timeout',
] as const;

/**
 * The id of every other name that starts with `x-envoy-`: nearly no message has one, so that one bit answers for all of them, and
 * one pass takes them all out. A look-up by such a name compares it, as with id 0.
 */
export const X_ENVOY = 63;
const X_ENVOY_PREFIX = 'x-envoy-';
const prefix = Buffer.from(X_ENVOY_PREFIX, 'latin1');

// HeaderList keeps one bit per id in two integers.
invariant(NAMES.length < X_ENVOY, 'more than 62 known field names');

export type KnownName = (typeof NAMES)[number];

/** Id of each known name: `H['content-length']`. */
export const H = Object.freeze(
  Object.fromEntries(NAMES.map((name, index) => [name, index + 1])) as Record<KnownName, number>,
);

const TABLE_SIZE = 512;
/** Per slot: 0, an id, or minus the 1-based place in `collisions`. */
const table = new Int16Array(TABLE_SIZE);
const collisions: number[][] = [];
const byName = new Map<string, number>();
/** All names one after the other; that of an id is [nameStart[id], nameStart[id + 1]). */
const letters = Buffer.from(NAMES.join(''), 'latin1');
const nameStart = new Uint16Array(NAMES.length + 2);
for (let id = 1; id <= NAMES.length; id++)
  nameStart[id + 1] = nameStart[id] + (NAMES[id - 1] as string).length;

for (let id = 1; id <= NAMES.length; id++) {
  const name = letters.subarray(nameStart[id], nameStart[id + 1]);
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

/**
 * Id of the field name in `bytes[start, end)`, in whatever case; `X_ENVOY` or 0 when it is not a known one. The bytes must be
 * token characters (RFC 9110 section 5.6.2): only then is setting bit 5 the same as lower-casing.
 */
export function nameIdOfBytes(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 2) return 0;
  const found =
    table[slotOf(length, bytes[start] | 0x20, bytes[end - 1] | 0x20, bytes[start + (length >> 1)] | 0x20)];
  if (found > 0) {
    if (isName(bytes, start, length, found)) return found;
  } else if (found < 0) {
    for (const id of collisions[-found - 1] as number[]) {
      if (isName(bytes, start, length, id)) return id;
    }
  }
  // The third letter tells nearly all others apart.
  const maybe = length > X_ENVOY_PREFIX.length && (bytes[start + 2] | 0x20) === 0x65;
  return maybe && hasPrefix(bytes, start) ? X_ENVOY : 0;
}

function hasPrefix(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < prefix.length; i++) if ((bytes[start + i] | 0x20) !== prefix[i]) return false;
  return true;
}

/** Id of a lower-case name; 0 when it is not a known one. */
export function nameIdOf(lowerName: string): number {
  return byName.get(lowerName) ?? 0;
}

/** The same as `nameIdOfBytes`, of a lower-case name. */
export function markOf(lowerName: string): number {
  const id = nameIdOf(lowerName);
  return id === 0 && lowerName.startsWith(X_ENVOY_PREFIX) && lowerName.length > X_ENVOY_PREFIX.length
    ? X_ENVOY
    : id;
}

/** The lower-case name of an id from `H`. */
export function nameOfId(id: number): string {
  return NAMES[id - 1] as string;
}

function slotOf(length: number, first: number, last: number, middle: number): number {
  return (length * 29 + first * 7 + last * 13 + middle * 3) & (TABLE_SIZE - 1);
}

function isName(bytes: Uint8Array, start: number, length: number, id: number): boolean {
  const from = nameStart[id];
  if (nameStart[id + 1] - from !== length) return false;
  for (let i = 0; i < length; i++) {
    if ((bytes[start + i] | 0x20) !== letters[from + i]) return false;
  }
  return true;
}
