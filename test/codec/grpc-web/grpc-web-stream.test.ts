/** gRPC-Web calls as the exchange sees them, and their answers as the client does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../../src/base/index.ts';
import { wrapGrpcWeb } from '../../../src/dataplane/codec/grpc-web/index.ts';
import { H, HeaderList } from '../../../src/message/index.ts';
import { Random, SEED } from '../http1/random.ts';
import { call, decoded, Ends, frame, inPieces, requestHead, responseHead } from './kit.ts';

/** Content type of the request, its Accept → content type of the call, of an answer `application/grpc`. */
const TYPES: readonly (readonly [type: string, accept: string, grpc: string, answer: string])[] = [
  ['application/grpc-web', '', 'application/grpc', 'application/grpc-web'],
  ['application/grpc-web+proto', '', 'application/grpc+proto', 'application/grpc-web+proto'],
  ['application/grpc-web+json', '*/*', 'application/grpc+json', 'application/grpc-web+json'],
  ['Application/gRPC-Web+Proto', '', 'application/grpc+proto', 'application/grpc-web+proto'],
  [
    'application/grpc-web; charset=utf-8',
    '',
    'application/grpc; charset=utf-8',
    'application/grpc-web; charset=utf-8',
  ],
  ['application/grpc-web-text', '', 'application/grpc', 'application/grpc-web-text'],
  ['application/grpc-web-text+proto', '', 'application/grpc+proto', 'application/grpc-web-text+proto'],
  [
    'application/grpc-web+proto',
    'application/grpc-web-text',
    'application/grpc+proto',
    'application/grpc-web-text',
  ],
  [
    'application/grpc-web-text',
    'text/html, application/grpc-web+proto',
    'application/grpc',
    'application/grpc-web+proto',
  ],
];

for (const [type, accept, grpc, answer] of TYPES) {
  test(`${type}, Accept: ${accept || 'none'}`, () => {
    const ends = new Ends();
    const head = requestHead(type, ...(accept === '' ? [] : ['accept', accept]));
    const web = wrapGrpcWeb(head, ends.stream);
    assert.ok(web !== null);
    assert.equal(head.headers.getAll(H['content-type']), grpc);
    assert.equal(head.headers.getAll(H.te), 'trailers');
    const text = type.toLowerCase().includes('-text');
    assert.deepEqual([head.body, head.contentLength], text ? ['stream', -1] : ['length', 10]);
    assert.equal(head.headers.has(H['content-length']), !text);
    web.attach(ends);
    web.sendHead(
      responseHead('application/grpc', 'length', 'content-length', '10', 'trailer', 'grpc-status'),
    );
    assert.equal(ends.head?.headers.getAll(H['content-type']), answer);
    assert.deepEqual([ends.head?.body, ends.head?.contentLength], ['stream', -1]);
    assert.equal(ends.head?.headers.has(H['content-length']), false);
    assert.equal(ends.head?.headers.has(H.trailer), false);
  });
}

test('other requests are left alone', () => {
  for (const type of [
    'application/grpc',
    'application/grpc-webby',
    'application/grpc-web-texts',
    'text/plain',
  ]) {
    const head = requestHead(type);
    assert.equal(wrapGrpcWeb(head, new Ends().stream), null);
    assert.equal(head.headers.get(H['content-type']), type);
  }
  assert.equal(wrapGrpcWeb({ ...requestHead('x'), headers: HeaderList.empty() }, new Ends().stream), null);
});

test("the format of an answer is the answer's own where it names one", () => {
  const { ends, web } = call('application/grpc-web-text+json');
  web.sendHead(responseHead('application/grpc+proto'));
  assert.equal(ends.head?.headers.get(H['content-type']), 'application/grpc-web-text+proto');
});

const TRAILERS = 'grpc-status: 0\r\ngrpc-message: \xe9\r\nx-two: a\r\nx-two: b\r\n';
const trailers = (): HeaderList =>
  HeaderList.of('Grpc-Status', '0', 'grpc-message', '\xe9', 'X-Two', 'a', 'x-two', 'b');

test('binary: bytes go through, trailers become the last frame', () => {
  const { ends, web } = call('application/grpc-web+proto');
  inPieces(frame('hello'), [3], (piece) => web.onBody(piece));
  web.onEnd(null);
  assert.equal(ends.received, frame('hello').toString('latin1'));
  web.sendHead(responseHead('application/grpc'));
  inPieces(Buffer.concat([frame('hi'), frame('')]), [2, 8], (piece) =>
    assert.equal(web.sendBody(piece), true),
  );
  web.sendEnd(trailers());
  assert.equal(ends.sent, Buffer.concat([frame('hi'), frame(''), frame(TRAILERS, 0x80)]).toString('latin1'));
  assert.deepEqual(ends.calls, ['received all', 'head 200 stream', 'end']);
});

test('text: however it is cut, both directions carry the same bytes, and every message is complete at once', () => {
  const random = new Random(SEED);
  for (let round = 0; round < 200; round++) {
    const label = `seed ${SEED}, round ${round}`;
    const messages = Array.from({ length: 1 + random.int(5) }, () => 'x'.repeat(random.int(30)));
    const bytes = Buffer.concat(messages.map((message) => frame(message)));
    const { ends, web } = call('application/grpc-web-text');
    const encoded = Buffer.from(messages.map((message) => frame(message).toString('base64')).join(''));
    inPieces(encoded, random.cuts(encoded.length, 6), (piece) => web.onBody(piece));
    web.onEnd(null);
    assert.equal(ends.received, bytes.toString('latin1'), label);

    web.sendHead(responseHead('application/grpc+proto'));
    const frameEnds: number[] = [];
    for (const message of messages) frameEnds.push((frameEnds.at(-1) ?? 0) + 5 + message.length);
    let given = 0;
    inPieces(bytes, random.cuts(bytes.length, 6), (piece) => {
      web.sendBody(piece);
      given += piece.length;
      const complete = frameEnds.findLast((end) => end <= given) ?? 0;
      const out = decoded(ends.sent).length;
      assert.equal(ends.sent.length % 4, 0, label);
      assert.ok(
        out >= complete && out > given - 3,
        `${label}: ${out} of ${given} bytes, ${complete} in messages`,
      );
    });
    assert.equal(decoded(ends.sent), bytes.toString('latin1'), label);
    web.sendEnd(trailers());
    assert.equal(decoded(ends.sent), Buffer.concat([bytes, frame(TRAILERS, 0x80)]).toString('latin1'), label);
    assert.deepEqual(ends.calls, ['received all', 'head 200 stream', 'end'], label);
  }
});

test('text: padding stands at the end of a frame only', () => {
  const { ends, web } = call('application/grpc-web-text');
  web.sendHead(responseHead('application/grpc'));
  web.sendBody(frame('0123456789').subarray(0, 7));
  assert.doesNotMatch(ends.sent, /=/);
  web.sendBody(frame('0123456789').subarray(7));
  assert.equal(ends.sent, frame('0123456789').toString('base64'));
});

test('text: an answer that ends within a frame is not shortened', () => {
  for (const rest of [null, trailers()]) {
    const { ends, web } = call('application/grpc-web-text');
    web.sendHead(responseHead('application/grpc'));
    web.sendBody(Buffer.from([0, 0, 0, 0, 9, 1, 2]));
    web.sendEnd(rest);
    const tail = rest === null ? Buffer.alloc(0) : frame(TRAILERS, 0x80);
    const expected = Buffer.concat([Buffer.from([0, 0, 0, 0, 9, 1, 2]), tail]);
    assert.equal(decoded(ends.sent), expected.toString('latin1'));
  }
});

test('what is not base64 is refused once, and nothing after it is passed on', () => {
  for (const body of ['AAAA*AAA', 'AAAA', 'AAAAAA']) {
    const { ends, web } = call('application/grpc-web-text');
    for (const byte of body) web.onBody(Buffer.from(byte));
    web.onBody(Buffer.from(body === 'AAAA' ? 'A===' : '*'));
    web.onBody(Buffer.from('AAAA'));
    web.onEnd(null);
    assert.equal(ends.received, '\0\0\0');
    assert.equal(ends.calls.length, 1);
    assert.match(ends.calls[0] ?? '', /^refused bad-grpc-web: b/);
  }
});

test('a body that ends within a group of four is refused', () => {
  const { ends, web } = call('application/grpc-web-text');
  web.onBody(Buffer.from('AAAAAA'));
  web.onEnd(null);
  assert.deepEqual(ends.calls, ['refused bad-grpc-web: base64 that ends within a group of four']);
});

test('a trailers-only answer stays fields', () => {
  for (const type of ['application/grpc-web', 'application/grpc-web-text']) {
    const { ends, web } = call(type);
    web.sendHead(
      responseHead('application/grpc', 'none', 'grpc-status', '5', 'grpc-message', 'no such cart'),
    );
    web.sendEnd(null);
    assert.equal(ends.sent, '');
    assert.equal(ends.head?.headers.get(H['grpc-status']), '5');
    assert.equal(ends.head?.headers.get(H['content-type']), type);
    assert.deepEqual(ends.calls, ['head 200 none', 'end']);
  }
});

test('an answer that is no gRPC goes through as it is', () => {
  const { ends, web } = call('application/grpc-web-text');
  web.sendHead(responseHead('text/html', 'length'));
  web.sendBody(Buffer.from('<p>not here'));
  web.sendEnd(HeaderList.of('x-checksum', '1'));
  assert.equal(ends.sent, '<p>not here');
  assert.equal(ends.head?.headers.get(H['content-type']), 'text/html');
  assert.deepEqual(ends.calls, ['head 200 length', 'end 1']);
});

test('a client that does not read is felt by the exchange, and everything else passes through', () => {
  const { ends, web } = call('application/grpc-web-text');
  web.sendInformational({ ...responseHead('application/grpc', 'none'), status: 103 });
  web.sendHead(responseHead('application/grpc'));
  ends.open = false;
  assert.equal(web.sendBody(frame('hi')), false);
  web.onWritable();
  web.pause();
  web.resume();
  web.closeAfter();
  web.onRefused(failure('bad-chunk'));
  web.onAborted(failure('downstream-gone'));
  web.abort(failure('request-timeout'));
  assert.deepEqual(ends.calls, [
    'informational 103',
    'head 200 stream',
    'writable',
    'pause',
    'resume',
    'closeAfter',
    'refused bad-chunk: ',
    'aborted downstream-gone',
    'abort request-timeout',
  ]);
});
