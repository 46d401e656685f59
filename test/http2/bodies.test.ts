/** Bodies and their lengths between the versions: kept, checked, left out where there is none, and whole when they are large. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ERROR } from '../../src/dataplane/codec/http2/index.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { asked, FramePeer, frameBackend } from './frame-peer.ts';
import { type Field, fieldOf, fieldsOf, type Message, nameOf, PAIRINGS, withPair } from './peers.ts';

const HTTP2 = { service: 'protocol: http2' };
const NO_RETRY = 'retry: { attempts: 0 }';
const PLAIN = PAIRINGS.filter(({ secure }) => !secure);
const MEGABYTE = 1 << 20;

function sum(body: Buffer): string {
  return createHash('sha1').update(body).digest('hex');
}

function seeded(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

for (const pairing of PAIRINGS) {
  const framed: Field[] = pairing.client === '1.1' ? [['Transfer-Encoding', 'chunked']] : [];

  test(`${nameOf(pairing)}: 10 MB each way, at once, are the same bytes`, async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`SEED=${seed}`);
    const up = seeded(10 * MEGABYTE, seed);
    const down = seeded(10 * MEGABYTE, seed + 1);
    await withPair(
      pairing,
      () => ({ body: down }),
      async (caller, { seen }) => {
        const reply = await caller.ask({ method: 'PUT', body: up, fields: framed });
        assert.equal(sum((seen[0] as Message).body), sum(up), `seed ${seed}`);
        assert.equal(sum(reply.body), sum(down), `seed ${seed}`);
      },
    );
  });

  test(`${nameOf(pairing)}: sizes around frames, windows and buffers`, async () => {
    await withPair(
      pairing,
      ({ body }) => ({ body }),
      async (caller) => {
        for (const size of [1, 1_024, 1_025, 16_384, 16_385, 65_535, 65_536, 262_144, 262_145, 524_289]) {
          const body = seeded(size, size);
          const reply = await caller.ask({ method: 'POST', body, fields: framed });
          assert.equal(sum(reply.body), sum(body), `${size} bytes`);
        }
      },
    );
  });
}

for (const pairing of PLAIN) {
  test(`${nameOf(pairing)}: a stated length is stated again, and none is invented`, async () => {
    await withPair(
      pairing,
      ({ target, body }) => ({
        body,
        fields: target === '/stated' ? [['content-length', String(body.length)]] : [],
      }),
      async (caller, { seen }) => {
        const body = Buffer.from('12345');
        const stated = await caller.ask({
          method: 'POST',
          target: '/stated',
          body,
          fields: [['content-length', '5']],
        });
        assert.deepEqual(fieldsOf((seen[0] as Message).fields, 'content-length'), ['5']);
        assert.deepEqual(fieldsOf(stated.fields, 'content-length'), ['5']);
        const framed: Field[] = pairing.client === '1.1' ? [['Transfer-Encoding', 'chunked']] : [];
        const open = await caller.ask({ method: 'POST', target: '/open', body, fields: framed });
        assert.deepEqual(fieldsOf((seen[1] as Message).fields, 'content-length'), []);
        assert.deepEqual(fieldsOf(open.fields, 'content-length'), []);
        assert.equal(open.body.toString(), '12345');
      },
    );
  });

  test(`${nameOf(pairing)}: empty bodies with a length of 0`, async () => {
    await withPair(
      pairing,
      () => ({ fields: [['content-length', '0']] }),
      async (caller, { seen }) => {
        const reply = await caller.ask({ method: 'POST', fields: [['content-length', '0']] });
        assert.deepEqual(fieldsOf((seen[0] as Message).fields, 'content-length'), ['0']);
        assert.deepEqual(
          [reply.status, fieldOf(reply.fields, 'content-length'), reply.body.length],
          [200, '0', 0],
        );
      },
    );
  });

  test(`${nameOf(pairing)}: HEAD and 304 say how long the body would be, 204 says nothing`, async () => {
    await withPair(
      pairing,
      ({ target }) => ({
        status: Number(target.slice(1)),
        fields:
          target === '/204'
            ? [['etag', '"a"']]
            : [
                ['etag', '"a"'],
                ['content-length', '1234'],
              ],
      }),
      async (caller) => {
        for (const [method, target, status, length] of [
          ['HEAD', '/200', 200, ['1234']],
          ['HEAD', '/404', 404, ['1234']],
          ['GET', '/304', 304, ['1234']],
          ['HEAD', '/304', 304, ['1234']],
          ['GET', '/204', 204, []],
          ['HEAD', '/204', 204, []],
        ] as const) {
          const reply = await caller.ask({ method, target });
          assert.deepEqual([reply.status, reply.body.length], [status, 0], `${method} ${target}`);
          assert.deepEqual(fieldsOf(reply.fields, 'content-length'), length, `${method} ${target}`);
          assert.equal(fieldOf(reply.fields, 'etag'), '"a"');
        }
      },
    );
  });
}

/** What a client sends on a stream after a head with this length, and that it breaks it. */
const WRONG: readonly (readonly [name: string, length: string, body: string])[] = [
  ['more than it states', '3', 'four'],
  ['less than it states', '9', 'four'],
  ['something where it states nothing', '0', 'four'],
];

for (const [name, length, body] of WRONG) {
  test(`a client that sends ${name} is reset, and so is its request to the endpoint`, async () => {
    const backend = await frameBackend();
    await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.request(1, [['content-length', length]], { method: 'POST', end: false });
      const { stream } = await asked(await backend.peer(0));
      client.body(1, body, true);
      assert.equal((await client.answer(1)).reset, ERROR.protocolError);
      assert.equal(await (await backend.peer(0)).resetOf(stream), ERROR.cancel);
      assert.deepEqual([(await proxy.decision()).code, proxy.decisions[0]?.status], ['http2-protocol', 0]);
      client.destroy();
    });
    backend.close();
  });

  test(`an endpoint that answers with ${name}: the client can tell that the answer is not whole`, async () => {
    const backend = await frameBackend((peer) => {
      void (async () => {
        const { stream } = await asked(peer);
        peer.respond(stream, 200, [['content-length', length]]).body(stream, body, true);
      })();
    });
    await withProxy(oneService([backend.port], { ...HTTP2, rule: NO_RETRY }), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.request(1);
      const { status, reset, ended } = await client.answer(1);
      if (status === 200) assert.deepEqual([reset, ended], [ERROR.internalError, false]);
      else assert.equal(status, 502);
      const { code, detail } = await proxy.decision();
      assert.equal(code, 'upstream-protocol');
      assert.match(detail, /content-length/);
      assert.equal((await (await backend.peer(0)).frame('reset')).code, ERROR.protocolError);
      const raw = await RawClient.connect(proxy.port);
      await raw.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      raw.destroy();
      client.destroy();
    });
    backend.close();
  });
}

test('an HTTP/1.1 client of an endpoint whose answer is too short for its length is cut off', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      const { stream } = await asked(peer);
      peer.respond(stream, 200, [['content-length', '9']]).body(stream, 'four', true);
    })();
  });
  await withProxy(oneService([backend.port], { ...HTTP2, rule: NO_RETRY }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await client.untilClosed();
    assert.ok(!text.includes('\r\n\r\nfour') || client.error?.code === 'ECONNRESET', text);
  });
  backend.close();
});

test('an endpoint of HTTP/1.1 that closes in the middle of its answer: the stream is reset, the connection lives', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.includes('\r\n\r\n'))
      .then(() => {
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour');
        upstream.socket.end();
      });
  });
  await withProxy(oneService([backend.port], { rule: NO_RETRY }), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const { status, body, reset } = await client.request(1).answer(1);
    assert.deepEqual([status, body.toString(), reset], [200, 'four', ERROR.internalError]);
    assert.equal((await proxy.decision()).code, 'closed-mid-response');
    client.request(3, [], { path: '/again' });
    assert.equal((await client.answer(3)).reset, ERROR.internalError);
    assert.equal(proxy.connections, 1);
    client.destroy();
  });
  await backend.close();
});

test('an answer of HTTP/1.0 that ends with its connection is a whole one for a client of HTTP/2', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.includes('\r\n\r\n'))
      .then(() => {
        upstream.send('HTTP/1.0 200 OK\r\n\r\nall of it');
        upstream.socket.end();
      });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const { body, ended } = await client.request(1).answer(1);
    assert.deepEqual([body.toString(), ended], ['all of it', true]);
    client.destroy();
  });
  await backend.close();
});

test('an early answer of an HTTP/2 endpoint reaches the client; the rest of the upload is given up on both sides', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      const { stream } = await asked(peer);
      await peer.frame('data');
      peer.respond(stream, 403, [['content-length', '2']]).body(stream, 'no', true);
      // RFC 9113 section 8.1: an endpoint may say that it wants no more.
      peer.reset(stream, ERROR.noError);
    })();
  });
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [['content-length', '1000000']], { method: 'POST', end: false }).body(1, 'first');
    const { status, body } = await client.answer(1);
    assert.deepEqual([status, body.toString()], [403, 'no']);
    await client.until(() => client.heard(1).reset >= 0, 'the reset');
    assert.equal(client.heard(1).reset, ERROR.noError);
    // What was on its way when the reset came is nobody's fault.
    client.body(1, 'more').body(1, 'and more', true);
    const raw = await RawClient.connect(proxy.port);
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    client.ping();
    await client.frame('pong');
    assert.equal(client.frames.filter(({ type }) => type === 'goaway').length, 0);
    raw.destroy();
    client.destroy();
    await proxy.recorded();
    await until(() => proxy.gauge('a', 'requests') === 0, 'no request is left');
  });
  backend.close();
});

test('an early answer to a client of HTTP/1.1 by an HTTP/2 endpoint: read, and the upload dropped', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      for (let nth = 0; ; nth++) {
        const { stream } = await asked(peer, nth);
        peer.respond(stream, 413, [['content-length', '0']], true).reset(stream, ERROR.noError);
      }
    })().catch(() => {});
  });
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nfirst');
    await client.until((t) => /^HTTP\/1\.1 413 /.test(t));
    client.send('x'.repeat(99_995)).send('GET /next HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until((t) => t.split('HTTP/1.1 413').length === 3);
    assert.equal(backend.peers.length, 1);
    client.destroy();
  });
  backend.close();
});

test('hundreds of early answers leave the connection to the endpoint alone', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      for (let nth = 0; ; nth++) {
        const { stream } = await asked(peer, nth);
        peer.respond(stream, 401, [], true).reset(stream, ERROR.noError);
      }
    })().catch(() => {});
  });
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    for (let i = 0; i < 300; i++) {
      const stream = 2 * i + 1;
      client.request(stream, [], { method: 'POST', end: false });
      assert.equal((await client.answer(stream)).status, 401, `number ${i}`);
    }
    assert.equal(backend.peers.length, 1);
    client.destroy();
  });
  backend.close();
});
