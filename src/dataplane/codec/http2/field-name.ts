/**
 * What the encoder has to know of a field name, worked out once per name and not per field: its lower-case form, its
 * place in the static table, and how fields of this name are sent. Names come from peers, so the memory of other than
 * the known ones has a bound; it holds names only, no values, and all connections of a worker share it.
 */
import { fieldIdOf, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** Into the dynamic table: most fields come again with the same value. */
export const INDEXED = 0;
/** Not into the table: the value is another one nearly every time, or would be worth guessing (RFC 7541 section 7.1.3). */
export const NOT_INDEXED = 1;
/** Nobody on the way may put it into a table. */
export const NEVER_INDEXED = 2;
/** Never indexed while it is short enough to be guessed. */
export const NEVER_IF_SHORT = 3;

export interface NameFacts {
  readonly name: string;
  /** In the case it was sent in; the same name in two cases has one number. */
  readonly sent: string;
  /** Known id of `H`, PSEUDO + n, or 0. */
  readonly id: number;
  readonly policy: number;
  /** Index of the first static entry with this name; 0: none. */
  readonly staticIndex: number;
  /** Values in the static table from that index on; empty: none has one. */
  readonly staticValues: readonly string[];
  /** Tells names apart; never used twice. */
  readonly number: number;
}

/** As nghttp2 has it: what is secret, and short cookies. */
const NEVER: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'set-cookie']);

/** nghttp2's list, and what a mesh adds: ids and counts that differ per request. */
const CHANGING: ReadonlySet<string> = new Set([
  ':path',
  'age',
  'content-length',
  'content-range',
  'date',
  'etag',
  'expires',
  'grpc-message',
  'grpc-timeout',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'last-modified',
  'location',
  'range',
  'b3',
  'traceparent',
  'tracestate',
  'uber-trace-id',
  'x-b3-parentspanid',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-envoy-upstream-service-time',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-request-id',
]);

/** Names kept beside the known ones, and how long they may be. */
const NAMES_KEPT = 512;
const NAME_CHARS_KEPT = 64;

let numbers = 0;
const known = new Map<string, NameFacts>();
for (const name of new Set([...STATIC_NAMES.slice(1), ':protocol', ...CHANGING, ...NEVER]))
  known.set(name, factsOf(name));
let others = new Map<string, NameFacts>();

/** The facts of a name in whatever case. */
export function nameFacts(name: string): NameFacts {
  const facts = known.get(name) ?? others.get(name);
  if (facts !== undefined) return facts;
  const lower = name.toLowerCase();
  const kept = name.length <= NAME_CHARS_KEPT;
  // Not to be found again, so of no use in a table.
  if (!kept) return { ...factsOf(lower), policy: NOT_INDEXED };
  if (others.size + 2 > NAMES_KEPT) others = new Map();
  const made = known.get(lower) ?? others.get(lower) ?? factsOf(ownCopy(lower));
  if (!known.has(lower)) others.set(made.name, made);
  if (lower === name) return made;
  const cased = { ...made, sent: ownCopy(name) };
  others.set(cased.sent, cased);
  return cased;
}

function factsOf(name: string): NameFacts {
  const staticIndex = STATIC_NAMES.indexOf(name);
  const staticValues: string[] = [];
  for (let index = staticIndex; index > 0 && STATIC_NAMES[index] === name; index++)
    if (STATIC_VALUES[index] !== '') staticValues.push(STATIC_VALUES[index] as string);
  return {
    name,
    sent: name,
    id: fieldIdOf(name),
    policy: policyOf(name),
    staticIndex: Math.max(0, staticIndex),
    staticValues,
    number: ++numbers,
  };
}

function policyOf(name: string): number {
  if (NEVER.has(name)) return NEVER_INDEXED;
  if (name === 'cookie') return NEVER_IF_SHORT;
  return CHANGING.has(name) ? NOT_INDEXED : INDEXED;
}

/** A string of its own: a slice would keep the whole head alive that it was cut from. */
export function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
