/**
 * Request paths before routing. A proxy that matches one spelling of a path and forwards another lets
 * requests past its rules (CVE-2021-31920), so the path is brought to one spelling first, and that
 * spelling is both what is matched and what is forwarded. The four modes are Istio's
 * `pathNormalization`; docs/PATHS.md shows what each makes of the awkward cases, and a test keeps it true.
 *
 * The query is never touched. Most paths need nothing: one regular expression without backtracking says
 * so (about 40 ns for 30 characters), and the rest takes the slow way, which is linear in the length.
 */
import { type Failure, failure } from '../../base/index.ts';
import type { PathNormalization } from '../../config/index.ts';

export interface PreparedPath {
  /** What routing matches: the normalised path, without the query. `*` for `OPTIONS *`. */
  readonly path: string;
  /** The query with its `?`, as received; empty: none. */
  readonly query: string;
  /** What is forwarded: path and query. */
  readonly target: string;
  /** Null, or `bad-path`: the request is refused and the other fields are as received. */
  readonly failure: Failure | null;
}

/**
 * Normalises a request target in origin form (RFC 9112 section 3.2.1), or `*`.
 *
 * `NONE` changes nothing. `BASE` (the default, as in Istio) is RFC 3986 section 6.2.2 without the case of
 * percent-encodings: encoded unreserved characters are decoded once, `.` and `..` segments removed, and
 * `\` becomes `/`. `MERGE_SLASHES` then joins runs of `/`. `DECODE_AND_MERGE_SLASHES` first decodes
 * `%2F` and `%5C`. `%00` is refused in every mode, a malformed percent-encoding in every mode but `NONE`
 * (RFC 9112 section 3.2 asks not to correct what may be crafted to pass a filter).
 */
export function normalizePath(target: string, mode: PathNormalization): PreparedPath {
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  if (!needsWork(mode).test(raw) && raw !== '') return { path: raw, query, target, failure: null };
  if (raw === '*') return { path: raw, query, target, failure: null };
  if (mode === 'NONE') {
    if (raw !== '') return refused(target, raw, query, '%00 in the path');
    return { path: '/', query, target: `/${query}`, failure: null };
  }
  const slashed = mode === 'DECODE_AND_MERGE_SLASHES' ? raw.replace(ENCODED_SLASH, decodeSlash) : raw;
  const spelled = respell(slashed);
  if (spelled.fault !== '') return refused(target, raw, query, spelled.fault);
  let path = removeDotSegments(spelled.text);
  if (mode !== 'BASE') path = path.replace(SLASHES, '/');
  return { path, query, target: path + query, failure: null };
}

/** Anything but the characters that are copied, a segment of one or two dots, no `/` in front. */
const BASE_WORK = /[^!$&'()*+,\-./0-9:;=@A-Z[\]_a-z~]|\/\.\.?(?:\/|$)|^[^/]/;
const MERGE_WORK = /[^!$&'()*+,\-./0-9:;=@A-Z[\]_a-z~]|\/\/|\/\.\.?(?:\/|$)|^[^/]/;
const NO_WORK = /%00/;
const SLASHES = /\/{2,}/g;
const ENCODED_SLASH = /%2f|%5c/gi;

/** Compared, not looked up: as a key a string that came from another thread is interned anew each time (70 ns). */
function needsWork(mode: PathNormalization): RegExp {
  if (mode === 'BASE') return BASE_WORK;
  return mode === 'NONE' ? NO_WORK : MERGE_WORK;
}

/** What becomes of a byte written as itself. */
const COPY = 0;
const ESCAPE = 1;
const REFUSE = 2;
const BYTES = new Uint8Array(256).fill(REFUSE);
/** Bytes that stay encoded when they come encoded: all but the unreserved ones (RFC 3986 section 2.3). */
const UNRESERVED = new Uint8Array(256);
for (const char of "!$&'()*+,-./0123456789:;=@[]_~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  BYTES[char.charCodeAt(0)] = COPY;
for (const char of '"<>^`{|}') BYTES[char.charCodeAt(0)] = ESCAPE;
for (const char of '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz')
  UNRESERVED[char.charCodeAt(0)] = 1;

function decodeSlash(encoded: string): string {
  return encoded.charCodeAt(1) === 0x32 ? '/' : '\\';
}

function refused(target: string, path: string, query: string, detail: string): PreparedPath {
  return { path, query, target, failure: failure('bad-path', detail) };
}

/**
 * Each character in its one spelling. Decoding happens once and never makes a `%`, `/` or `\`, so its
 * result needs no second look (`%252e` stays `%252e`).
 */
function respell(path: string): { text: string; fault: string } {
  let text = '';
  let copied = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 0x25) {
      const value = hexValue(path.charCodeAt(i + 1)) * 16 + hexValue(path.charCodeAt(i + 2));
      if (!(value >= 0)) return { text, fault: 'a % that two hexadecimal digits do not follow' };
      if (value === 0) return { text, fault: '%00 in the path' };
      if (UNRESERVED[value] === 1) {
        text += path.slice(copied, i) + String.fromCharCode(value);
        copied = i + 3;
      }
      i += 2;
    } else if (code === 0x5c) {
      text += `${path.slice(copied, i)}/`;
      copied = i + 1;
    } else {
      const fate = code < 256 ? BYTES[code] : REFUSE;
      if (fate === REFUSE) return { text, fault: 'a byte that a path may not hold' };
      if (fate === ESCAPE) {
        text += `${path.slice(copied, i)}%${code.toString(16).toUpperCase()}`;
        copied = i + 1;
      }
    }
  }
  return { text: text + path.slice(copied), fault: '' };
}

/** NaN for anything but a hexadecimal digit, and past the end. */
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** RFC 3986 section 5.2.4. A `..` at the root stays at the root; empty segments are kept. */
function removeDotSegments(path: string): string {
  const segments = path.split('/');
  const kept: string[] = [];
  let endsInSlash = false;
  for (let i = segments[0] === '' ? 1 : 0; i < segments.length; i++) {
    const segment = segments[i] as string;
    endsInSlash = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  if (endsInSlash && kept.length > 0) kept.push('');
  return `/${kept.join('/')}`;
}
