/** Sessions against node:http2 in both roles, and against peers that break the rules or do nothing but cost. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { errorName } from '../../../src/dataplane/codec/http2/index.ts';
import { type EchoServer, echoServer, sessionClient } from '../../kit/http2.ts';
import { until } from '../../kit/proxy.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 7 + (i >> 8)) & 0xff;
  return bytes;
}

async function echo(t: TestContext, maxStreams?: number): Promise<EchoServer> {
  const server = await echoServer(maxStreams);
  t.after(() => server.close());
  return server;
}

test('a server session serves node:http2: bodies of all sizes and trailers, many at once', async (t) => {
  const server = await echo(t);
  // Node's client refuses streams of its own when their bodies take more than 10 MB.
  const client = connectHttp2(`http://127.0.0.1:${server.port}`, { maxSessionMemory: 200 });
  t.after(() => client.destroy());
  const sizes = [0, 1, 1_024, 1_025, 16_384, 16_385, 65_535, 65_536, 300_000, 2_000_000];
  await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const body = pattern(sizes[i % sizes.length] as number, i);
      const stream = client.request({ ':method': 'POST', ':path': `/${i}` }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': String(i) }));
      const head = once(stream, 'response');
      const trailers = once(stream, 'trailers');
      stream.end(body);
      const parts: Buffer[] = [];
      for await (const part of stream) parts.push(part as Buffer);
      const [headers] = await head;
      assert.equal(headers[':status'], 200);
      assert.equal(headers['x-path'], `/${i}`);
      assert.ok(Buffer.concat(parts).equals(body), `body ${i}`);
      assert.equal((await trailers)[0]['x-sum'], String(i));
    }),
  );
  assert.equal(server.sessions[0]?.streams.open.size, 0);
});

test('a client session uses node:http2: more requests than streams allowed, bodies both ways', async (t) => {
  const server = createHttp2Server({ settings: { maxConcurrentStreams: 7 } });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.respond({ ':status': 200, 'x-number': String(headers['x-number']) });
    stream.pipe(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const client = await sessionClient((server.address() as { port: number }).port);
  t.after(() => client.close());
  await until(() => !client.session.settling, 'settings');
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const body = i % 3 === 0 ? null : pattern(i * 3_001, i);
      const answer = await client.request(`/${i}`, body);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('x-number'), `/${i}`);
      assert.ok(answer.body.equals(body ?? Buffer.alloc(0)), `body ${i}`);
    }),
  );
  assert.equal(client.session.streams.open.size, 0);
});

test('small bodies of one turn, more than is gathered at once, all end', async (t) => {
  const server = await echo(t);
  const client = await sessionClient(server.port);
  t.after(() => client.close());
  await until(() => !client.session.settling, 'settings');
  for (let length = 300; length <= 1_024; length += 181) {
    const answers = Array.from({ length: 99 }, (_, i) => client.request(`/${i}`, pattern(length, i)));
    (await Promise.all(answers)).forEach(({ body }, i) => {
      assert.ok(body.equals(pattern(length, i)), `${length} bytes, number ${i}`);
    });
  }
});

test('a reader that stops holds up its own stream and no other', async (t) => {
  const server = await echo(t);
  const client = connectHttp2(`http://127.0.0.1:${server.port}`, { settings: { initialWindowSize: 65_535 } });
  t.after(() => client.destroy());
  const stalled = client.request({ ':method': 'POST', ':path': '/stalled' });
  stalled.on('error', () => {});
  stalled.pause();
  stalled.write(pattern(4_000_000, 1));
  await until(() => server.queuedBytes() > 0, 'bytes that can not be sent');
  const other = client.request({ ':method': 'POST', ':path': '/other' });
  const body = pattern(500_000, 2);
  other.end(body);
  const parts: Buffer[] = [];
  for await (const part of other) parts.push(part as Buffer);
  assert.ok(Buffer.concat(parts).equals(body));
  assert.ok(
    server.queuedBytes() <= 512 * 1024,
    `${server.queuedBytes()} bytes are held for a reader that stopped`,
  );
});

// Peers that only cost.

class Raw {
  received = Buffer.alloc(0);
  readonly socket: Socket;
  ended = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
    });
    this.socket.write(Buffer.concat([Buffer.from(PREFACE), frame(4, 0, 0)]));
  }

  /** The code of the GOAWAY that came last; empty: none. */
  goaway(): string {
    let name = '';
    for (let at = 0; at + 9 <= this.received.length; ) {
      const length = this.received.readUIntBE(at, 3);
      if (this.received[at + 3] === 7) name = errorName(this.received.readUInt32BE(at + 13));
      at += 9 + length;
    }
    return name;
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** GET http://x/ */
const GET = Buffer.from([0x82, 0x86, 0x84, 0x41, 0x01, 0x78]);
const code = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const FLOODS: readonly (readonly [string, (i: number) => Buffer])[] = [
  [
    'requests that are reset at once',
    (i) => Buffer.concat([frame(1, 4, 2 * i + 1, GET), frame(3, 0, 2 * i + 1, code(8))]),
  ],
  ['PING', () => frame(6, 0, 0, Buffer.alloc(8))],
  ['SETTINGS', () => frame(4, 0, 0)],
  ['PRIORITY', (i) => frame(2, 0, 2 * i + 1, Buffer.alloc(5))],
  ['WINDOW_UPDATE', () => frame(8, 0, 0, code(1))],
  ['frames of an unknown type', () => frame(0x55, 0, 0)],
  ['empty DATA', (i) => (i === 0 ? frame(1, 4, 1, GET) : frame(0, 0, 1))],
  [
    'streams that depend on themselves',
    (i) =>
      frame(
        2,
        0,
        2 * i + 1,
        code(2 * i + 1).length === 4 ? Buffer.concat([code(2 * i + 1), Buffer.alloc(1)]) : Buffer.alloc(5),
      ),
  ],
];

for (const [name, make] of FLOODS) {
  test(`a flood of ${name} is cut off, and others are served meanwhile`, async (t) => {
    const server = await echo(t);
    const flooder = new Raw(server.port);
    t.after(() => flooder.socket.destroy());
    const other = await sessionClient(server.port);
    t.after(() => other.close());
    for (let i = 0; i < 20_000 && !flooder.ended; i += 500) {
      flooder.socket.write(Buffer.concat(Array.from({ length: 500 }, (_, j) => make(i + j))));
      assert.equal((await other.request('/other', null)).status, 200);
    }
    await until(() => flooder.ended, 'the end of the flooder');
    assert.equal(flooder.goaway(), 'ENHANCE_YOUR_CALM');
  });
}

test('a client that cancels half of its requests is no flood', async (t) => {
  const server = await echo(t);
  const client = connectHttp2(`http://127.0.0.1:${server.port}`);
  t.after(() => client.destroy());
  for (let i = 0; i < 1_000; i++) {
    const stream = client.request({ ':path': `/${i}` }, { endStream: i % 2 === 0 });
    stream.on('error', () => {});
    if (i % 2 === 0) {
      stream.resume();
      await once(stream, 'end');
    } else {
      stream.close(8);
      await once(stream, 'close');
    }
  }
  assert.equal(client.destroyed, false);
});

test('streams over the limit are refused, and may be tried again', async (t) => {
  const server = await echo(t, 2);
  const raw = new Raw(server.port);
  t.after(() => raw.socket.destroy());
  raw.socket.write(Buffer.concat([1, 3, 5].map((id) => frame(1, 4, id, GET))));
  const refused = frame(3, 0, 5, code(7));
  await until(() => raw.received.includes(refused), 'RST_STREAM(REFUSED_STREAM)');
});

test('after GOAWAY new streams are refused, whatever follows on them, and the others run on', async (t) => {
  const server = await echo(t);
  const raw = new Raw(server.port);
  t.after(() => raw.socket.destroy());
  raw.socket.write(frame(1, 4, 1, GET));
  await until(() => server.sessions[0]?.streams.open.size === 1, 'the first stream');
  server.sessions[0]?.goaway(0, '');
  raw.socket.write(Buffer.concat([frame(1, 4, 3, GET), frame(0, 1, 3, Buffer.from('x'))]));
  await until(() => raw.received.includes(frame(3, 0, 3, code(7))), 'RST_STREAM(REFUSED_STREAM)');
  raw.socket.write(frame(0, 1, 1, Buffer.from('body')));
  await until(() => raw.received.includes(frame(0, 1, 1, Buffer.from('body'))), 'the echo');
});
