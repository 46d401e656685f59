/** Heads on the way out: framing by body and client, connection fields, and what must never reach the wire. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  encodeInformational,
  encodeRequestHead,
  encodeResponseHead,
  type ResponseContext,
  responseFraming,
} from '../../../src/dataplane/codec/http1/index.ts';
import { HeaderList, type RequestHead, type ResponseHead } from '../../../src/message/index.ts';

const request = (changes: Partial<RequestHead> = {}, ...fields: string[]): string =>
  encodeRequestHead({
    method: 'GET',
    target: '/',
    authority: 'a',
    scheme: 'http',
    version: '1.1',
    headers: HeaderList.of(...fields),
    body: 'none',
    contentLength: -1,
    expectContinue: false,
    upgrade: '',
    ...changes,
  });

const responseHead = (changes: Partial<ResponseHead>, fields: string[]): ResponseHead => ({
  status: 200,
  reason: 'OK',
  version: '1.1',
  headers: HeaderList.of(...fields),
  body: 'none',
  contentLength: -1,
  ...changes,
});
const GET: ResponseContext = { version: '1.1', keepAlive: true, requestMethod: 'GET' };
const response = (
  changes: Partial<ResponseHead>,
  context: Partial<ResponseContext> = {},
  ...fields: string[]
) => encodeResponseHead(responseHead(changes, fields), { ...GET, ...context });
const lines = (text: string): string[] => text.split('\r\n');

describe('a request head', () => {
  test('begins with the request line and Host', () => {
    assert.equal(request({}, 'X-a', '1'), 'GET / HTTP/1.1\r\nHost: a\r\nX-a: 1\r\n\r\n');
  });

  test('of an HTTP/1.0 client goes on as 1.1', () => {
    assert.equal(request({ version: '1.0' }), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  });

  test('with a stream is chunked, whatever its fields say', () => {
    const text = request({ body: 'stream' }, 'Content-Length', '5', 'transfer-encoding', 'gzip');
    assert.equal(text, 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  });

  test('with a length keeps a Content-Length that agrees in its place and case', () => {
    const text = request({ body: 'length', contentLength: 5 }, 'content-LENGTH', '5', 'X', 'y');
    assert.equal(text, 'GET / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\nX: y\r\n\r\n');
  });

  test('with a length replaces a Content-Length that does not agree, and duplicates', () => {
    const wanted = 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n';
    assert.equal(request({ body: 'length', contentLength: 5 }, 'Content-Length', '7'), wanted);
    assert.equal(
      request({ body: 'length', contentLength: 5 }, 'Content-Length', '5', 'Content-Length', '5'),
      wanted,
    );
    assert.equal(request({ body: 'length', contentLength: 5 }), wanted);
  });

  test('without a body has no framing field', () => {
    const text = request({}, 'Content-Length', '5', 'Transfer-Encoding', 'chunked');
    assert.equal(text, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  });

  test('leaves Host and the connection fields of the list out', () => {
    const text = request(
      {},
      'Host',
      'b',
      'Connection',
      'close',
      'Keep-Alive',
      'x',
      'Proxy-Connection',
      'y',
      'Upgrade',
      'z',
    );
    assert.equal(text, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  });

  test('names TE and Upgrade in Connection', () => {
    assert.ok(lines(request({}, 'TE', 'trailers')).includes('Connection: TE'));
    const upgrade = lines(request({ upgrade: 'websocket', body: 'tunnel' }, 'TE', 'trailers'));
    assert.ok(upgrade.includes('Connection: Upgrade, TE'));
    assert.ok(upgrade.includes('Upgrade: websocket'));
  });

  test('of CONNECT has the authority as its target', () => {
    const text = request({ method: 'CONNECT', target: 'b:1', authority: 'b:1', body: 'tunnel' });
    assert.equal(text, 'CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n');
  });

  test('cannot be split by a rewritten target, authority, protocol or value', () => {
    const target = '/a b\r\nX: y\u010a#\xe9';
    assert.equal(lines(request({ target }))[0], 'GET /a%20b%0D%0AX:%20y%C4%8A%23%E9 HTTP/1.1');
    assert.equal(lines(request({ authority: 'a\r\nX: y' }))[1], 'Host: a%0D%0AX:%20y');
    assert.ok(lines(request({ upgrade: 'a\r\nb' })).includes('Upgrade: a  b'));
    assert.equal(lines(request({}, 'X', 'a\r\nY: b\u010aZ: c\0'))[2], 'X: a  Y: b Z: c ');
  });

  test('is the same the second time', () => {
    const headers = HeaderList.of('Content-Length', '7', 'Connection', 'x');
    assert.equal(request({ headers }), request({ headers }));
    assert.equal(headers.size, 2);
  });
});

describe('an answer head', () => {
  test('keeps the reason and gives one where none came', () => {
    assert.equal(lines(response({ reason: 'Fine' }))[0], 'HTTP/1.1 200 Fine');
    assert.equal(lines(response({ reason: '', status: 503 }))[0], 'HTTP/1.1 503 Service Unavailable');
    assert.equal(lines(response({ reason: '', status: 799 }))[0], 'HTTP/1.1 799 ');
    assert.equal(lines(response({ reason: 'a\r\nX: y' }))[0], 'HTTP/1.1 200 a  X: y');
  });

  test('says close or keep-alive only where it is not the default', () => {
    const length = { body: 'length', contentLength: 0 } as const;
    assert.equal(response(length), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    assert.ok(lines(response(length, { keepAlive: false })).includes('Connection: close'));
    assert.ok(lines(response(length, { version: '1.0' })).includes('Connection: keep-alive'));
    assert.ok(lines(response(length, { version: '1.0', keepAlive: false })).includes('Connection: close'));
  });

  test('of unknown length is chunked for HTTP/1.1 and ended by the close for HTTP/1.0', () => {
    for (const body of ['stream', 'close'] as const) {
      const fields = ['Content-Length', '9', 'Transfer-Encoding', 'x'];
      assert.equal(
        response({ body }, {}, ...fields),
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      );
      assert.equal(
        response({ body }, { version: '1.0' }, ...fields),
        'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n',
      );
    }
  });

  test('without a body says so, lest the client waits for the close', () => {
    assert.equal(response({}), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });

  test('with 204 has no framing field at all', () => {
    const text = response({ status: 204, body: 'length', contentLength: 0 }, {}, 'Content-Length', '0');
    assert.equal(text, 'HTTP/1.1 204 OK\r\n\r\n');
  });

  test('to HEAD and with 304 keeps the length of what is not sent', () => {
    const wanted = (status: number) => `HTTP/1.1 ${status} OK\r\nContent-Length: 5\r\n\r\n`;
    assert.equal(response({}, { requestMethod: 'HEAD' }, 'Content-Length', '5'), wanted(200));
    assert.equal(response({ body: 'length', contentLength: 5 }, { requestMethod: 'HEAD' }), wanted(200));
    assert.equal(response({ status: 304 }, {}, 'Content-Length', '5'), wanted(304));
    assert.equal(response({}, { requestMethod: 'HEAD' }), 'HTTP/1.1 200 OK\r\n\r\n');
  });

  test('of a tunnel names the protocol and no framing', () => {
    const text = response(
      { status: 101, reason: '', body: 'tunnel' },
      { keepAlive: false },
      'upgrade',
      'websocket',
    );
    assert.equal(
      text,
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    const connect = response(
      { body: 'tunnel' },
      { requestMethod: 'CONNECT', keepAlive: false },
      'Content-Length',
      '5',
    );
    assert.equal(connect, 'HTTP/1.1 200 OK\r\n\r\n');
  });

  test('that is interim has neither framing nor connection fields', () => {
    const head = responseHead({ status: 103, reason: '' }, [
      'Link',
      '</a>',
      'Content-Length',
      '0',
      'Connection',
      'x',
    ]);
    assert.equal(encodeInformational(head), 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
  });

  test('is framed as responseFraming says', () => {
    const framing = (changes: Partial<ResponseHead>, context: Partial<ResponseContext> = {}) =>
      responseFraming(responseHead(changes, []), { ...GET, ...context });
    assert.equal(framing({ body: 'length', contentLength: 1 }), 'length');
    assert.equal(framing({ body: 'stream' }), 'chunked');
    assert.equal(framing({ body: 'stream' }, { version: '1.0' }), 'close');
    assert.equal(framing({ body: 'stream' }, { requestMethod: 'HEAD' }), 'none');
    assert.equal(framing({ body: 'stream', status: 304 }), 'none');
    assert.equal(framing({ body: 'tunnel', status: 101 }), 'tunnel');
    assert.equal(framing({ body: 'none' }), 'none');
  });
});
