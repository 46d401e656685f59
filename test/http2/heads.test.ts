/** Heads that are out of the ordinary: who is asked, how large they are, what must stay secret, what is asked for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { ERROR } from '../../src/dataplane/codec/http2/index.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { asked, type FrameBackend, FramePeer, frameBackend, requestFields } from './frame-peer.ts';
import { bodyOf, type Field, fieldOf, fieldsOf, http2Client, type Message, withPair } from './peers.ts';

const HTTP2 = { service: 'protocol: http2' };

/** Answers every request with 200 and nothing else. */
function answering(fields: readonly Field[] = []): Promise<FrameBackend> {
  return frameBackend((peer) => {
    void (async () => {
      for (let nth = 0; !peer.closed; nth++) peer.respond((await asked(peer, nth)).stream, 200, fields, true);
    })().catch(() => {});
  });
}

const AUTHORITIES: readonly (readonly [
  name: string,
  fields: readonly Field[],
  status: number,
  code: string,
])[] = [
  ['authority alone', [[':authority', 'shop']], 200, ''],
  ['Host alone', [['host', 'shop']], 200, ''],
  [
    'both, the same',
    [
      [':authority', 'shop:80'],
      ['host', 'shop:80'],
    ],
    200,
    '',
  ],
  [
    'both, the same but for case',
    [
      [':authority', 'Shop'],
      ['host', 'shop'],
    ],
    200,
    '',
  ],
  [
    'both, and they differ',
    [
      [':authority', 'shop'],
      ['host', 'evil'],
    ],
    400,
    'bad-host',
  ],
  [
    'two Hosts',
    [
      ['host', 'shop'],
      ['host', 'shop'],
    ],
    400,
    'bad-host',
  ],
  ['neither', [], 400, 'missing-host'],
  ['an empty Host', [['host', '']], 400, 'missing-host'],
  ['a Host that is none', [['host', 'a b']], 400, 'bad-host'],
  ['an authority that is none', [[':authority', 'sh%op:x']], 400, 'bad-host'],
];

for (const [name, fields, status, code] of AUTHORITIES) {
  test(`who is asked: ${name}`, async () => {
    const backend = await answering();
    await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      const pseudo: Field[] = [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
      ];
      const all = [
        ...fields.filter(([n]) => n[0] === ':'),
        ...pseudo,
        ...fields.filter(([n]) => n[0] !== ':'),
      ];
      client.headers(1, all, { end: true });
      const answer = await client.answer(1);
      assert.equal(answer.status, status);
      if (status === 200) {
        const { fields: seen } = await asked(await backend.peer(0));
        assert.match(fieldOf(seen, ':authority'), /^shop(:80)?$/i);
        assert.deepEqual(fieldsOf(seen, 'host'), []);
      } else {
        assert.match(answer.body.toString(), new RegExp(`^400 ${code} \\(DPE\\)`));
        assert.equal((await proxy.decision()).code, code);
        assert.equal(backend.peers.length, 0);
        // The stream was refused, and not the connection.
        client.headers(3, requestFields('GET', '/'), { end: true });
        assert.equal((await client.answer(3)).status, 200);
      }
      client.destroy();
    });
    backend.close();
  });
}

test('a head of nearly 60 KiB passes, in CONTINUATION frames on both sides; an answer as well', async () => {
  const large: Field[] = Array.from({ length: 14 }, (_, i) => [
    `x-large-${i}`,
    String.fromCharCode(97 + i).repeat(4_000),
  ]);
  const backend = await answering(large);
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.headers(1, [...requestFields('GET', '/'), ...large], { end: true, cut: 10_000 });
    const answer = await client.answer(1);
    assert.equal(answer.status, 200);
    const seen = await asked(await backend.peer(0));
    for (const [name, value] of large) {
      assert.equal(fieldOf(seen.fields, name), value);
      assert.equal(fieldOf(answer.fields, name), value);
    }
    client.destroy();
  });
  backend.close();
});

test('a head over maxHeaderBytes, or of too many fields, is answered with 431, and the connection goes on', async () => {
  const backend = await answering();
  const config = oneService([backend.port], { ...HTTP2, listener: 'limits: { maxHeaderBytes: 4096 }' });
  await withProxy(config, async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    // Small on the wire, large when it is counted as RFC 9113 section 10.5.1 does, or beyond the block's limit.
    const many: Field[] = Array.from({ length: LIMITS.headerCount + 1 }, () => ['a', '']);
    client.headers(1, [...requestFields('GET', '/'), ['x-large', 'a'.repeat(3_950)]], { end: true });
    client.headers(3, [...requestFields('GET', '/'), ...many], { end: true });
    for (const stream of [1, 3]) {
      const { status, body } = await client.answer(stream);
      assert.equal(status, 431);
      assert.match(body.toString(), /^431 headers-too-large \(DPE\)/);
    }
    client.request(5);
    assert.equal((await client.answer(5)).status, 200);
    client.destroy();
    await proxy.recorded();
    assert.deepEqual(
      proxy.decisions.map(({ code }) => code),
      ['headers-too-large', 'headers-too-large'],
    );
  });
  backend.close();
});

test('an answer whose head is too large is a fault of the endpoint, and harms its stream only', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      peer.respond((await asked(peer)).stream, 200, [['x-large', 'a'.repeat(LIMITS.headerBytes - 40)]], true);
      peer.respond((await asked(peer, 1)).stream, 200, [], true);
    })();
  });
  const rule = 'retry: { attempts: 0 }';
  await withProxy(oneService([backend.port], { ...HTTP2, rule }), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    assert.equal((await client.request(1).answer(1)).status, 502);
    const decision = await proxy.decision();
    assert.equal(decision.code, 'upstream-protocol');
    assert.match(decision.detail, /more than \d+ bytes/);
    assert.equal((await client.request(3).answer(3)).status, 200);
    assert.equal(backend.peers.length, 1);
    client.destroy();
  });
  backend.close();
});

test('fields that are never to be indexed stay so, on the way there and back (RFC 7541 section 6.2.3)', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      for (let nth = 0; nth < 2; nth++)
        peer.headers(
          (await asked(peer, nth)).stream,
          [
            [':status', '200'],
            ['x-token', 'answer'],
            ['x-open', '1'],
          ],
          {
            end: true,
            sensitive: ['x-token'],
          },
        );
    })();
  });
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const fields: Field[] = [...requestFields('GET', '/'), ['x-secret', 'asked'], ['x-open', '1']];
    // Twice: what was put into a table the first time would be an index the second.
    for (const stream of [1, 3]) {
      client.headers(stream, fields, { end: true, sensitive: ['x-secret'] });
      await client.answer(stream);
    }
    for (const nth of [0, 1]) {
      const { sensitive } = await asked(await backend.peer(0), nth);
      assert.ok(sensitive.includes('x-secret') && !sensitive.includes('x-open'), sensitive.join());
      const head = client.frames.filter(({ type }) => type === 'headers')[nth];
      assert.ok(head?.sensitive.includes('x-token') && !head.sensitive.includes('x-open'));
    }
    client.destroy();
  });
  backend.close();
});

test('te other than trailers, and fields of one connection, are malformed in HTTP/2: the stream is reset', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    const bad: Field[] = [
      ['te', 'gzip'],
      ['connection', 'close'],
      ['keep-alive', '5'],
      ['proxy-connection', 'x'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'websocket'],
    ];
    for (const [index, field] of bad.entries()) {
      client.request(2 * index + 1, [field]);
      assert.equal((await client.answer(2 * index + 1)).reset, ERROR.protocolError, field[0]);
    }
    client.request(99, [['te', 'trailers']]);
    assert.equal((await client.answer(99)).status, 200);
    assert.equal(proxy.listenerCounter('web', 'http2RxMessagingError'), bad.length);
    client.destroy();
  });
  backend.close();
});

test('an expectation other than 100-continue is refused with 417', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [['expect', 'wonders']], { method: 'POST', end: false });
    const { status, body, reset } = await client.answer(1);
    assert.equal(status, 417);
    assert.match(body.toString(), /^417 expectation-failed/);
    await client.until(() => client.heard(1).reset >= 0, 'the rest of the request to be declined');
    assert.equal(client.heard(1).reset, ERROR.noError, `${reset}`);
    assert.equal(backend.peers.length, 0);
    client.destroy();
  });
  backend.close();
});

test('OPTIONS * passes in both directions of translation', async () => {
  for (const [client, endpoint] of [
    ['1.1', '2'],
    ['2', '1.1'],
    ['2', '2'],
  ] as const)
    await withPair(
      { client, endpoint, secure: false },
      () => ({ status: 204 }),
      async (caller, { seen }) => {
        assert.equal((await caller.ask({ method: 'OPTIONS', target: '*' })).status, 204);
        assert.deepEqual([(seen[0] as Message).method, (seen[0] as Message).target], ['OPTIONS', '*']);
      },
    );
});

test('CONNECT without a protocol is not served', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.headers(1, [
      [':method', 'CONNECT'],
      [':authority', 'db:3306'],
    ]);
    const { status, body } = await client.answer(1);
    assert.equal(status, 501);
    assert.match(body.toString(), /^501 method-not-implemented/);
    assert.equal((await proxy.decision()).method, 'CONNECT');
    client.request(3);
    assert.equal((await client.answer(3)).status, 200);
    client.destroy();
  });
  backend.close();
});

test('a target that is longer than a request line may be is answered with 414', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [], { path: `/${'a'.repeat(LIMITS.requestLineBytes)}` });
    assert.equal((await client.answer(1)).status, 414);
    client.destroy();
  });
  backend.close();
});

test('POST of HTTP/2 without a body states its length to an endpoint of HTTP/1.1, GET does not', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => upstream.send('HTTP/1.1 204 No Content\r\n\r\n'));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    for (const [index, method] of ['POST', 'PUT', 'PATCH', 'GET', 'DELETE'].entries()) {
      client.request(2 * index + 1, [], { method });
      assert.equal((await client.answer(2 * index + 1)).status, 204);
      const { text } = await backend.connection(0);
      const head = text.slice(text.lastIndexOf(`${method} /`));
      assert.equal(/\r\ncontent-length: 0\r\n/i.test(head), /^P/.test(method), head);
      assert.doesNotMatch(head, /transfer-encoding/i);
    }
    client.destroy();
  });
  await backend.close();
});

test('Upgrade: h2c becomes HTTP/2 with the request as its first stream, and nothing of it reaches the endpoint', async () => {
  const backend = await answering([['x-from', 'h2']]);
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    const raw = await RawClient.connect(proxy.port);
    const settings = Buffer.from([0, 3, 0, 0, 0, 100]).toString('base64url');
    raw.send(
      `GET /up HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: ${settings}\r\n\r\n`,
    );
    const text = await raw.until((t) => t.includes('\r\n\r\n'));
    const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
    assert.ok(text.startsWith(head), text);
    raw.socket.removeAllListeners('data');
    const client = new FramePeer(raw.socket, 'client');
    raw.socket.emit('data', Buffer.from(text.slice(head.length), 'latin1'));
    assert.equal((await client.answer(1)).status, 200);
    client.request(3, [], { path: '/next' });
    assert.equal(fieldOf((await client.answer(3)).fields, 'x-from'), 'h2');
    const { fields } = await asked(await backend.peer(0));
    assert.equal(fieldOf(fields, ':path'), '/up');
    assert.deepEqual(
      fields.map(([name]) => name).filter((name) => /upgrade|connection|http2-settings/.test(name)),
      [],
    );
    assert.equal(proxy.listenerCounter('web', 'downstreamCxHttp2Total'), 1);
    client.destroy();
  });
  backend.close();
});

test('Upgrade: h2c with a body, or without settings, is answered in HTTP/1.1', async () => {
  const backend = await answering();
  await withProxy(oneService([backend.port], HTTP2), async (proxy) => {
    for (const [line, fields, body] of [
      ['POST', 'HTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n', 'hi'],
      ['GET', '', ''],
      ['GET', 'HTTP2-Settings: !!\r\n', ''],
      ['GET', 'HTTP2-Settings: AAMAAABk\r\nHTTP2-Settings: AAMAAABk\r\n', ''],
      ['GET', 'HTTP2-Settings: AAQAAAAA____\r\n', ''],
    ] as const) {
      const client = await RawClient.connect(proxy.port);
      client.send(
        `${line} / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n${fields}\r\n${body}`,
      );
      const text = await client.until((t) => t.includes('\r\n\r\n'));
      assert.match(text, /^HTTP\/1\.1 200 /, fields);
      client.destroy();
    }
    await until(() => proxy.connections === 0, 'the clients are gone');
  });
  backend.close();
});

test('access log and counters say HTTP/2', async () => {
  const { mkdtempSync, readFileSync, rmSync } = await import('node:fs');
  const directory = mkdtempSync('/tmp/outboard-h2-log-');
  const backend = await answering();
  await withProxy(
    `${oneService([backend.port], HTTP2)}accessLog: { path: ${directory}/log }`,
    async (proxy) => {
      const session = await http2Client(false, proxy.port);
      const stream = session.request({ ':path': '/logged' });
      await bodyOf(stream);
      if (!stream.closed) await once(stream, 'close');
      session.destroy();
      await until(() => readFileSync(`${directory}/log`, 'utf8').includes('/logged'), 'the line');
      const line = JSON.parse(readFileSync(`${directory}/log`, 'utf8')) as Record<string, unknown>;
      assert.deepEqual(
        [line.protocol, line.path, line.response_code, line.authority],
        ['HTTP/2', '/logged', 200, `web:${proxy.port}`],
      );
      assert.equal(proxy.counter('a', 'upstreamCxHttp2Total'), 1);
      assert.equal(proxy.counter('a', 'upstreamCxHttp1Total'), 0);
      assert.equal(proxy.listenerCounter('web', 'downstreamCxHttp2Total'), 1);
      assert.equal(proxy.listenerCounter('web', 'downstreamCxHttp1Total'), 0);
    },
  );
  rmSync(directory, { recursive: true });
  backend.close();
});
