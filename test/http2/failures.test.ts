/** What an endpoint of HTTP/2 does wrong, and what becomes of the requests it had: refused ones go elsewhere, others fail alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR } from '../../src/dataplane/codec/http2/index.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, rawBackend } from '../kit/raw.ts';
import { asked, type FrameBackend, FramePeer, frameBackend } from './frame-peer.ts';

const NO_RETRY = 'retry: { attempts: 0 }';
const QUICK_RETRY = 'retry: { attempts: 2, backoff: 1ms }';
const FREELY = 'retryBudget: { percent: 100, minRetryRate: { count: 1000 } }';

function configOf(backend: { readonly port: number }, rule: string, service = ''): string {
  return oneService([backend.port], { rule, service: `protocol: http2\n${service}` });
}

/** Calls `each` with every request of every connection, counted from 0 over all of them. */
function scripted(
  each: (peer: FramePeer, stream: number, nth: number) => void,
): Promise<FrameBackend & { readonly requests: number }> {
  let count = 0;
  const backend = frameBackend((peer) => {
    void (async () => {
      for (let nth = 0; ; nth++) each(peer, (await asked(peer, nth)).stream, count++);
    })().catch(() => {});
  });
  return backend.then((made) => Object.defineProperty(made, 'requests', { get: () => count })) as Promise<
    FrameBackend & { readonly requests: number }
  >;
}

const ok = (peer: FramePeer, stream: number): FramePeer =>
  peer.respond(stream, 200, [['content-length', '2']]).body(stream, 'ok', true);

for (const method of ['GET', 'POST']) {
  test(`REFUSED_STREAM: ${method} was not looked at and is sent again, without a route saying so`, async () => {
    const backend = await scripted((peer, stream, nth) => {
      if (nth < 2) peer.reset(stream, ERROR.refusedStream);
      else ok(peer, stream);
    });
    await withProxy(configOf(backend, QUICK_RETRY, FREELY), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.request(1, [], { method, end: method === 'GET' });
      if (method === 'POST') client.body(1, 'all of it', true);
      const { status, body } = await client.answer(1);
      assert.deepEqual([status, body.toString()], [200, 'ok']);
      const { attempts, verdict } = await proxy.decision();
      assert.equal(verdict, 'recovered');
      assert.deepEqual(
        attempts.map(({ outcome, reason }) => [outcome, reason]),
        [
          ['refused-stream', ''],
          ['refused-stream', 'refused-stream'],
          ['200', 'refused-stream'],
        ],
      );
      assert.equal(backend.peers.length, 1);
      client.destroy();
    });
    backend.close();
  });

  test(`GOAWAY below our stream: ${method} goes to a new connection`, async () => {
    const backend = await scripted((peer, stream, nth) => {
      if (nth === 0) peer.goaway(0);
      else ok(peer, stream);
    });
    await withProxy(configOf(backend, QUICK_RETRY), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.request(1, [], { method, end: method === 'GET' });
      if (method === 'POST') client.body(1, 'all of it', true);
      assert.equal((await client.answer(1)).status, 200);
      assert.equal(backend.peers.length, 2);
      assert.deepEqual(
        (await proxy.decision()).attempts.map(({ outcome }) => outcome),
        ['refused-stream', '200'],
      );
      // The first connection has no use any more.
      await (await backend.peer(0)).untilEnd();
      client.destroy();
    });
    backend.close();
  });
}

test('REFUSED_STREAM after the head of the answer is a reset like any other', async () => {
  const backend = await scripted((peer, stream) => {
    peer.respond(stream, 200).body(stream, 'half').reset(stream, ERROR.refusedStream);
  });
  await withProxy(configOf(backend, QUICK_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const { status, body, reset } = await client.request(1).answer(1);
    assert.deepEqual([status, body.toString(), reset], [200, 'half', ERROR.internalError]);
    assert.equal((await proxy.decision()).code, 'closed-mid-response');
    assert.equal(backend.requests, 1);
    client.destroy();
  });
  backend.close();
});

test('an endpoint that resets before the head: 503, sent again where the method allows it', async () => {
  for (const [method, requests] of [
    ['GET', 3],
    ['POST', 1],
  ] as const) {
    const backend = await scripted((peer, stream) => peer.reset(stream, ERROR.internalError));
    await withProxy(configOf(backend, QUICK_RETRY, FREELY), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.request(1, [], { method });
      const { status, body } = await client.answer(1);
      assert.equal(status, 503);
      assert.match(body.toString(), /^503 reset-before-response \(UR/);
      const decision = await proxy.decision();
      assert.match(decision.detail, /INTERNAL_ERROR/);
      assert.equal(backend.requests, requests);
      // One stream says nothing about the connection.
      assert.equal(backend.peers.length, 1);
      client.destroy();
    });
    backend.close();
  }
});

test('an endpoint that resets after a complete answer has said that it wants no more of the request', async () => {
  const backend = await scripted((peer, stream) => {
    ok(peer, stream).reset(stream, ERROR.noError);
  });
  await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [], { method: 'POST', end: false });
    const { status, body, ended } = await client.answer(1);
    assert.deepEqual([status, body.toString(), ended], [200, 'ok', true]);
    client.request(3);
    assert.equal((await client.answer(3)).status, 200);
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, []);
    client.destroy();
  });
  backend.close();
});

test('GOAWAY: streams up to the last one told are finished there, new requests go to a new connection', async () => {
  const backend = await scripted(() => {});
  await withProxy(configOf(backend, QUICK_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1).request(3);
    const old = await backend.peer(0);
    const [first, second] = [await asked(old), await asked(old, 1)];
    old.goaway(second.stream);
    // The answer shows that GOAWAY has been read, and that streams below it go on.
    ok(old, first.stream);
    assert.equal((await client.answer(1)).status, 200);
    client.request(5);
    const next = await backend.peer(1);
    ok(next, (await asked(next)).stream);
    assert.equal((await client.answer(5)).status, 200);
    ok(old, second.stream);
    assert.equal((await client.answer(3)).status, 200);
    await old.untilEnd();
    assert.equal(next.ended, false);
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, []);
    client.destroy();
  });
  backend.close();
});

test('a graceful end in two steps, GOAWAY 2^31-1 first: every request that was sent is answered', async () => {
  const backend = await scripted(() => {});
  await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1);
    const old = await backend.peer(0);
    const { stream } = await asked(old);
    old.goaway(2 ** 31 - 1).ping();
    await old.frame('pong');
    client.request(3);
    const next = await backend.peer(1);
    old.goaway(stream);
    ok(old, stream);
    ok(next, (await asked(next)).stream);
    assert.deepEqual([(await client.answer(1)).status, (await client.answer(3)).status], [200, 200]);
    client.destroy();
  });
  backend.close();
});

test('GOAWAY and then the end of the connection: unlooked-at requests move, those looked at fail', async () => {
  const backend = await scripted((peer, stream, nth) => {
    if (nth > 1) ok(peer, stream);
  });
  await withProxy(
    configOf(backend, 'retry: { attempts: 1, backoff: 1ms, retryOn: [refused-stream] }'),
    async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.request(1, [], { method: 'POST' }).request(3, [], { method: 'POST' });
      const old = await backend.peer(0);
      const [first] = [await asked(old), await asked(old, 1)];
      old.goaway(first.stream, ERROR.noError).socket.end();
      assert.equal((await client.answer(1)).status, 503);
      assert.equal((await client.answer(3)).status, 200);
      await proxy.recorded();
      assert.deepEqual(proxy.decisions.map(({ code }) => code).sort(), ['', 'closed-before-response']);
      client.destroy();
    },
  );
  backend.close();
});

test('a connection that dies with 20 streams: each fails once, all are counted, nothing is left', async () => {
  const backend = await scripted((peer, stream, nth) => {
    if (nth < 10) peer.respond(stream, 200).body(stream, 'half');
    if (nth === 19) peer.ping();
  });
  await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    for (let i = 0; i < 20; i++) client.request(2 * i + 1);
    const peer = await backend.peer(0);
    await peer.frame('pong');
    peer.socket.resetAndDestroy();
    for (let i = 0; i < 20; i++) {
      const { status, reset } = await client.answer(2 * i + 1);
      assert.deepEqual([status, reset], i < 10 ? [200, ERROR.internalError] : [503, -1], `number ${i}`);
    }
    await proxy.recorded();
    const codes = proxy.decisions.map(({ code }) => code).sort();
    assert.deepEqual(codes, [
      ...Array<string>(10).fill('closed-mid-response'),
      ...Array<string>(10).fill('reset-before-response'),
    ]);
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    assert.equal(proxy.gauge('a', 'requests'), 0);
    assert.equal(proxy.counter('a', 'upstreamCxDestroyRemoteWithActiveRq'), 1);
    assert.equal(proxy.counter('a', 'upstreamRqRxReset'), 20);
    client.destroy();
  });
  backend.close();
});

test('an endpoint that speaks HTTP/1.1 where the service says http2: the failure says so', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () =>
      upstream.send('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n').socket.end(),
    );
  });
  await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const { status, body } = await client.request(1).answer(1);
    assert.equal(status, 502);
    assert.match(body.toString(), /^502 upstream-protocol \(UPE\)/);
    assert.match((await proxy.decision()).detail, /answers in HTTP\/1\.1; see protocol of the service/);
    assert.equal(proxy.counter('a', 'upstreamCxProtocolError'), 1);
    client.destroy();
  });
  await backend.close();
});

test('an endpoint that closes as soon as it sees HTTP/2: the requests fail, and nothing hangs', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => upstream.socket.end());
  });
  await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const { status } = await client.request(1).answer(1);
    assert.equal(status, 503);
    assert.match((await proxy.decision()).code, /^(closed-before-response|connect-failed)$/);
    client.destroy();
  });
  await backend.close();
});

/** Answers that make the endpoint a breaker of the protocol; `whole`: its connection ends with it. */
const MALFORMED: readonly (readonly [string, (peer: FramePeer, stream: number) => void, RegExp, boolean])[] =
  [
    [
      'no :status',
      (peer, stream) => peer.headers(stream, [['x-a', '1']], { end: true }),
      /no :status/,
      false,
    ],
    [
      'a :status of two digits',
      (peer, stream) => peer.headers(stream, [[':status', '20']]),
      /:status/,
      false,
    ],
    ['a name in upper case', (peer, stream) => peer.respond(stream, 200, [['X-A', '1']]), /X-A/, false],
    [
      'a connection field',
      (peer, stream) => peer.respond(stream, 200, [['connection', 'x']]),
      /connection/,
      false,
    ],
    ['a request field', (peer, stream) => peer.respond(stream, 200, [[':path', '/']]), /./, false],
    [
      'two lengths',
      (peer, stream) =>
        peer.respond(stream, 200, [
          ['content-length', '1'],
          ['content-length', '1'],
        ]),
      /content-length/,
      false,
    ],
    ['DATA before the head', (peer, stream) => peer.body(stream, 'x'), /final head/, false],
    ['a second head', (peer, stream) => peer.respond(stream, 200).respond(stream, 200), /second head/, false],
    [
      'a pseudo-header field in trailers',
      (peer, stream) => peer.respond(stream, 200).headers(stream, [[':status', '200']], { end: true }),
      /trailers/,
      false,
    ],
    [
      'a frame that is too large',
      (peer, stream) => peer.respond(stream, 200).body(stream, 'x'.repeat(16_385)),
      /frame/,
      true,
    ],
    ['a stream of its own', (peer) => peer.respond(2, 200), /stream of the server/, true],
    [
      'bytes that are no header block',
      (peer, stream) => peer.write(Buffer.from([0, 0, 1, 1, 5, 0, 0, 0, stream, 0xff])),
      /./,
      true,
    ],
  ];

for (const [name, misbehave, detail, whole] of MALFORMED) {
  test(`a malformed answer: ${name}`, async () => {
    const backend = await scripted((peer, stream, nth) => {
      if (nth === 0) misbehave(peer, stream);
      else ok(peer, stream);
    });
    await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      const { status, reset } = await client.request(1).answer(1);
      if (status === 200) assert.equal(reset, ERROR.internalError);
      else assert.equal(status, 502);
      const decision = await proxy.decision();
      assert.deepEqual([decision.code, decision.flags], ['upstream-protocol', 'UPE']);
      assert.match(decision.detail, detail);
      assert.equal((await client.request(3).answer(3)).status, 200);
      assert.equal(backend.peers.length, whole ? 2 : 1);
      await until(() => proxy.counter('a', 'upstreamCxProtocolError') === (whole ? 1 : 0), 'it is counted');
      if (whole) assert.notEqual((await (await backend.peer(0)).frame('goaway')).code, ERROR.noError);
      client.destroy();
    });
    backend.close();
  });
}

test('an endpoint that goes on sending after it broke the protocol is not listened to for ever', async (t) => {
  let talking: NodeJS.Timeout | undefined;
  t.after(() => clearInterval(talking));
  const backend = await scripted((peer, stream) => {
    peer.respond(stream, 200).body(stream, 'x'.repeat(16_385));
    talking = setInterval(() => peer.write(Buffer.alloc(64)), 20);
  });
  await withProxy(configOf(backend, NO_RETRY), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    await client.request(1).answer(1);
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    client.destroy();
  });
  backend.close();
});
