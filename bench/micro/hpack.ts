/**
 * Nanoseconds per header block of HTTP/2, a request of 14 fields of which half are in the dynamic table: decoding it from
 * the cache and without, with its fields judged, and encoding it. Run: node bench/micro/hpack.ts
 */

import {
  HpackDecoder,
  HpackEncoder,
  OutBuffer,
  requestFault,
} from '../../src/dataplane/codec/http2/index.ts';
import type { HeaderList } from '../../src/message/index.ts';
import { measure } from '../harness/measure.ts';

const FIELDS: readonly (readonly [string, string])[] = [
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Firefox/132.0'],
  ['accept', 'application/json, text/plain, */*'],
  ['accept-language', 'en-GB,en;q=0.7'],
  ['accept-encoding', 'gzip, deflate, br'],
  ['cookie', 'session=0123456789abcdef0123; theme=dark'],
  ['cache-control', 'no-cache, no-store'],
  ['content-length', '1042'],
  ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  ['x-request-id', '6f1d2c3b-4a59-4687-9321-0fedcba98765'],
  ['content-type', 'application/json'],
];
const LIMITS = { listBytes: 60 * 1024, fieldCount: 100 };
/** Many short rounds: on a machine that does other things too, the best one tells most. */
const PER_ROUND = 10_000;
/** More than the cache has places, so that blocks in turn miss it every time. */
const VARIANTS = 4_096;

const encoder = new HpackEncoder();
const out = new OutBuffer();
const first = encode(0);
const blocks: Buffer[] = [];
for (let i = 0; i < VARIANTS; i++) blocks.push(encode(i));
const second = blocks[7] as Buffer;

const decoder = new HpackDecoder(LIMITS, 4_096);
decode(decoder, first);
let turn = 0;
measure(`decode, ${second.length} bytes, not cached, judged`, PER_ROUND, () => {
  decode(decoder, blocks[turn++ & (VARIANTS - 1)] as Buffer);
});
measure('decode, cached', PER_ROUND, () => {
  decode(decoder, second);
});
measure('decode, first on a connection', PER_ROUND, () => {
  decode(new HpackDecoder(LIMITS, 4_096), first);
});

const list = decode(decoder, second);
const again = new HpackEncoder();
encodeList(again, list);
measure('encode', PER_ROUND, () => {
  encodeList(again, list);
});
const steady = withoutChanging(list);
encodeList(again, steady);
measure('encode, all indexed but :path', PER_ROUND, () => {
  encodeList(again, steady);
});
measure('encode, first on a connection', PER_ROUND, () => {
  encodeList(new HpackEncoder(), list);
});

function encode(id: number): Buffer {
  encoder.begin(out);
  encoder.request('GET', 'https', 'cart.shop.example', `/cart/items?user=4711&limit=${id}`, '');
  for (const [name, value] of FIELDS) encoder.field(name, value);
  encoder.end();
  return out.take();
}

function withoutChanging(headers: HeaderList): HeaderList {
  const kept = headers.clone();
  for (const name of ['content-length', 'traceparent', 'x-request-id']) kept.delete(name);
  return kept;
}

function encodeList(to: HpackEncoder, headers: HeaderList): void {
  out.length = 0;
  to.begin(out);
  to.request('GET', 'https', 'cart.shop.example', '/cart/items?user=4711&limit=20', '');
  to.fields(headers);
  to.end();
}

function decode(from: HpackDecoder, bytes: Buffer): HeaderList {
  const block = from.decode(bytes, 0, bytes.length);
  if (block === null || requestFault(block) !== '') throw new Error(from.error);
  return block.takeHeaders();
}
