/**
 * The static table of HPACK (RFC 7541 appendix A), in the two forms that are read from it: as bytes of whole field
 * lines, which a decoder copies, and as strings. Entries count from 1.
 */
import { nameIdOf } from '../../../message/index.ts';

const ENTRIES: readonly string[] = [
  ':authority',
  ':method|GET',
  ':method|POST',
  ':path|/',
  ':path|/index.html',
  ':scheme|http',
  ':scheme|https',
  ':status|200',
  ':status|204',
  ':status|206',
  ':status|304',
  ':status|400',
  ':status|404',
  ':status|500',
  'accept-charset',
  'accept-encoding|gzip, deflate',
  'accept-language',
  'accept-ranges',
  'accept',
  'access-control-allow-origin',
  'age',
  'allow',
  'authorization',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expect',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'referer',
  'refresh',
  'retry-after',
  'server',
  'set-cookie',
  'strict-transport-security',
  'transfer-encoding',
  'user-agent',
  'vary',
  'via',
  'www-authenticate',
];

/** Number of entries; the dynamic table's first has the index after it. */
export const STATIC_COUNT = ENTRIES.length;

/** Pseudo-header fields as ids beside those of `H`: PSEUDO + place in this list. */
export const PSEUDO = 128;
export const PSEUDO_NAMES = [':method', ':scheme', ':authority', ':path', ':status', ':protocol'] as const;

export const STATIC_NAMES: readonly string[] = ['', ...ENTRIES.map((entry) => entry.split('|')[0] as string)];
export const STATIC_VALUES: readonly string[] = ['', ...ENTRIES.map((entry) => entry.split('|')[1] ?? '')];

/** `name: value CRLF` of all entries; that of one begins at STATIC_STARTS. */
export const STATIC_LINES: Buffer = Buffer.from(
  STATIC_NAMES.map((name, index) => (index === 0 ? '' : `${name}: ${STATIC_VALUES[index]}\r\n`)).join(''),
  'latin1',
);
export const STATIC_STARTS = new Uint16Array(STATIC_COUNT + 1);
export const STATIC_NAME_LENGTHS = new Uint8Array(STATIC_COUNT + 1);
export const STATIC_VALUE_LENGTHS = new Uint8Array(STATIC_COUNT + 1);
/** Known id of `H`, PSEUDO + n, or 0. */
export const STATIC_IDS = new Uint8Array(STATIC_COUNT + 1);

for (let index = 1, at = 0; index <= STATIC_COUNT; index++) {
  const name = STATIC_NAMES[index] as string;
  STATIC_STARTS[index] = at;
  STATIC_NAME_LENGTHS[index] = name.length;
  STATIC_VALUE_LENGTHS[index] = (STATIC_VALUES[index] as string).length;
  STATIC_IDS[index] = fieldIdOf(name);
  at += STATIC_NAME_LENGTHS[index] + STATIC_VALUE_LENGTHS[index] + 4;
}

/** The id of a lower-case name, pseudo-header fields included. */
export function fieldIdOf(name: string): number {
  if (!name.startsWith(':')) return nameIdOf(name);
  const place = (PSEUDO_NAMES as readonly string[]).indexOf(name);
  return place < 0 ? 0 : PSEUDO + place;
}
