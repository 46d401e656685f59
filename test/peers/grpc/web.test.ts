/** gRPC-Web by fetch, through the proxy, to the gRPC servers of both stacks. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { withProxy } from '../../kit/proxy.ts';
import { oneService } from '../../kit/raw.ts';
import { STACKS, withServer } from './pairs.ts';
import { pattern } from './service.ts';
import { callWeb } from './web.ts';

const PEER = 'outboard.test.Peer';

for (const stack of STACKS) {
  const { skip } = stack;
  test(`gRPC-Web to ${stack.name}`, { skip }, (t) =>
    withServer(stack, (server) =>
      withProxy(oneService([server.port], { service: 'protocol: grpc' }), ({ port }) =>
        cases(t, `http://127.0.0.1:${port}/${PEER}`),
      ),
    ),
  );
}

async function cases(t: TestContext, url: string): Promise<void> {
  for (const text of [false, true]) {
    const kind = text ? 'text' : 'binary';
    const type = text ? 'application/grpc-web-text+proto' : 'application/grpc-web+proto';

    await t.test(`${kind}: a unary call with metadata`, async () => {
      for (const cuts of [1, 2, 3, 7]) {
        const message = [...pattern(101, 0)];
        const metadata = { 'x-ping': 'a, b', 'x-ping-bin': 'AAECAw==' };
        const answer = await callWeb(`${url}/Unary`, message, text, metadata, cuts);
        assert.equal(answer.httpStatus, 200);
        assert.equal(answer.contentType, type);
        assert.deepEqual(answer.messages, [message]);
        assert.equal(answer.headers['x-pong'], 'a, b');
        assert.equal(answer.trailers['grpc-status'], '0');
        assert.equal(answer.trailers['x-tail'], 'a, b');
        assert.match(answer.trailers['x-tail-bin'] ?? '', /^AAECAw(==)?$/);
        assert.equal(answer.headers.trailer, undefined);
      }
    });

    await t.test(`${kind}: a stream from the server`, async () => {
      const metadata = { 'x-call': `web-${kind}`, 'x-count': '20', 'x-size': '1000' };
      const answer = await callWeb(`${url}/Produce`, [1], text, metadata);
      assert.deepEqual(
        answer.messages,
        Array.from({ length: 20 }, (_, n) => [...pattern(1_000, n)]),
      );
      assert.equal(answer.trailers['grpc-status'], '0');
    });

    await t.test(`${kind}: errors before and after messages`, async () => {
      const failing = { 'x-fail': '3', 'x-fail-message-bin': btoa('so not') };
      const early = await callWeb(`${url}/Unary`, [1], text, failing);
      // What gRPC sends in headers alone stays in headers.
      assert.equal(early.headers['grpc-status'] ?? early.trailers['grpc-status'], '3');
      assert.equal(
        decodeURIComponent(early.headers['grpc-message'] ?? early.trailers['grpc-message'] ?? ''),
        'so not',
      );
      assert.deepEqual(early.messages, []);
      const metadata = { ...failing, 'x-fail-late': '1', 'x-count': '2', 'x-size': '10', 'x-call': 'late' };
      const late = await callWeb(`${url}/Produce`, [1], text, metadata);
      assert.equal(late.messages.length, 2);
      assert.equal(late.trailers['grpc-status'], '3');
      assert.equal(decodeURIComponent(late.trailers['grpc-message'] ?? ''), 'so not');
    });

    await t.test(`${kind}: a long message each way`, async () => {
      const message = [...pattern(text ? 60_000 : 1 << 20, 0)];
      const answer = await callWeb(`${url}/Unary`, message, text, {});
      assert.deepEqual(answer.messages, [message]);
    });
  }
}
