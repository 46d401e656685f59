/**
 * Nanoseconds per request head: parsing one of 411 bytes with 9 fields, whole and cut in two, and writing it out
 * again. Run: node bench/micro/http1-head.ts
 */

import { encodeRequestHead, RequestParser, type RequestSink } from '../../src/dataplane/codec/http1/index.ts';
import type { RequestHead } from '../../src/message/index.ts';
import { measure } from '../harness/measure.ts';

const HEAD = Buffer.from(
  'GET /cart/items?user=4711&limit=20 HTTP/1.1\r\n' +
    'Host: cart.shop.example\r\n' +
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Firefox/132.0\r\n' +
    'Accept: application/json, text/plain, */*\r\n' +
    'Accept-Language: en-GB,en;q=0.7\r\n' +
    'Accept-Encoding: gzip, deflate, br\r\n' +
    'Cookie: session=0123456789abcdef0123; theme=dark\r\n' +
    'X-Request-Id: 6f1d2c3b-4a59-4687-9321-0fedcba98765\r\n' +
    'Cache-Control: no-cache, no-store\r\n' +
    'Connection: keep-alive\r\n\r\n',
  'latin1',
);
/** Many short rounds: on a machine that does other things too, the best one tells most. */
const PER_ROUND = 20_000;

let last: RequestHead | null = null;
const sink: RequestSink = {
  onHead(head) {
    last = head;
  },
  onBody() {},
  onEnd() {},
};
const parser = new RequestParser(sink, { scheme: 'http' });

measure(`parse, whole, ${HEAD.length} bytes`, PER_ROUND, () => {
  parser.execute(HEAD, 0, HEAD.length);
  parser.next();
});
measure('parse, cut in two', PER_ROUND, () => {
  parser.execute(HEAD, 0, 200);
  parser.execute(HEAD, 200, HEAD.length);
  parser.next();
});
measure('encode, unchanged', PER_ROUND, () => {
  encodeRequestHead(last as RequestHead);
});
