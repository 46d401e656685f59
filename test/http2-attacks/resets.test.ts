/**
 * Requests made in vain: rapid reset (CVE-2023-44487), and the ways to make a server reset streams by itself while the
 * endpoint works on (CVE-2025-8671, "MadeYouReset"). What reaches the endpoint is bounded, the attacker is cut off, and
 * neither its neighbours nor honest clients that cancel a lot come to harm.
 */
import assert from 'node:assert/strict';
import { connect, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import {
  data,
  END_HEADERS,
  END_STREAM,
  field,
  frame,
  get,
  headers,
  post,
  requestBlock,
  rst,
  TYPE,
  uint32,
  WITH_PRIORITY,
  windowUpdate,
} from '../kit/frames.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { assertRecorded, backend, besides } from './kit.ts';
import { FramePeer } from './peer.ts';

/** A burst of what the guard allows at once, and what may be under way when it is used up. */
const REQUESTS_MAX = 110;

interface Waste {
  readonly name: string;
  /** A request that goes to the endpoint, and what makes it one in vain. `id`: of its stream. */
  readonly frames: (id: number) => Buffer;
  readonly counter: 'http2RxReset' | 'http2RxMessagingError' | 'http2StreamRefused';
  /** What the stream is reset with; empty: the client does it. */
  readonly code: string;
}

const WASTES: readonly Waste[] = [
  {
    name: 'reset at once',
    frames: (id) => Buffer.concat([get(id, '/never'), rst(id)]),
    counter: 'http2RxReset',
    code: '',
  },
  {
    name: 'whose window is made too large',
    frames: (id) => Buffer.concat([get(id, '/never'), windowUpdate(id, 2 ** 31 - 1)]),
    counter: 'http2RxMessagingError',
    code: 'FLOW_CONTROL_ERROR',
  },
  {
    name: 'with a window update of 0',
    frames: (id) => Buffer.concat([get(id, '/never'), windowUpdate(id, 0)]),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'with HEADERS after their end',
    frames: (id) =>
      Buffer.concat([get(id, '/never'), headers(id, field('x', 'y'), END_HEADERS | END_STREAM)]),
    counter: 'http2RxMessagingError',
    code: 'STREAM_CLOSED',
  },
  {
    name: 'with DATA after their end',
    frames: (id) => Buffer.concat([get(id, '/never'), data(id, 'x')]),
    counter: 'http2RxMessagingError',
    code: 'STREAM_CLOSED',
  },
  {
    name: 'with a second head',
    frames: (id) => Buffer.concat([post(id, '/never'), headers(id, field('x', 'y'))]),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'with PRIORITY of the wrong length',
    frames: (id) => Buffer.concat([get(id, '/never'), frame(TYPE.priority, 0, id, Buffer.alloc(4))]),
    counter: 'http2RxMessagingError',
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'that come to depend on themselves',
    frames: (id) =>
      Buffer.concat([
        get(id, '/never'),
        frame(TYPE.priority, 0, id, Buffer.concat([uint32(id), Buffer.from([1])])),
      ]),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'with more body than they said',
    frames: (id) => Buffer.concat([post(id, '/never', [['content-length', '1']]), data(id, 'xx')]),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'with less body than they said',
    frames: (id) => Buffer.concat([post(id, '/never', [['content-length', '9']]), data(id, 'x', END_STREAM)]),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'with malformed trailers',
    frames: (id) =>
      Buffer.concat([post(id, '/never'), headers(id, field('X', 'y'), END_HEADERS | END_STREAM)]),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'that are malformed',
    frames: (id) => headers(id, Buffer.from([0x82]), END_HEADERS | END_STREAM),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'without a header block',
    frames: (id) => headers(id, Buffer.alloc(0), END_HEADERS | END_STREAM),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'with a priority of themselves',
    frames: (id) =>
      headers(
        id,
        Buffer.concat([uint32(id), Buffer.from([1]), requestBlock('GET', '/never')]),
        END_HEADERS | END_STREAM | WITH_PRIORITY,
      ),
    counter: 'http2RxMessagingError',
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'that are never ended, one after the other',
    frames: (id) => get(id, '/never'),
    counter: 'http2StreamRefused',
    code: 'REFUSED_STREAM',
  },
];

for (const { name, frames, counter, code } of WASTES) {
  test(`requests ${name}`, async () => {
    const upstream = await backend();
    await withProxy(oneService([upstream.port]), async (proxy) => {
      const sent = await besides(proxy.port, async () => {
        const peer = await FramePeer.connect(proxy.port);
        let id = 1;
        for (; id < 20_000 && peer.goaway === ''; id += 200) {
          await peer.sent(Buffer.concat(Array.from({ length: 100 }, (_, i) => frames(id + 2 * i))));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await until(() => peer.goaway !== '', 'GOAWAY');
        assert.equal(peer.goaway, 'ENHANCE_YOUR_CALM');
        const codes = new Set(
          peer.frames.filter(({ type }) => type === TYPE.rstStream).map(({ stream }) => peer.resetOf(stream)),
        );
        assert.deepEqual([...codes], code === '' ? [] : [code]);
        peer.destroy();
        await until(() => proxy.connections === 1, 'the end of its connection');
        return id;
      });
      await assertRecorded(proxy, 'http2-flood', /too many frames that do nothing/);
      assert.equal(proxy.listenerCounter('web', 'http2Flood'), 1);
      assert.ok(proxy.listenerCounter('web', counter) >= 90, counter);
      assert.ok(
        upstream.hits('/never') <= REQUESTS_MAX,
        `${upstream.hits('/never')} requests reached the endpoint, of ${(sent - 1) / 2}`,
      );
      await until(() => upstream.active === 0, 'the end of its requests at the endpoint');
      assert.equal(proxy.gauge('a', 'requests'), 0);
      assert.equal(proxy.active, 0);
    });
    await upstream.close();
  });
}

test('malformed requests are recorded, though no request was made of them', async () => {
  const upstream = await backend();
  await withProxy(oneService([upstream.port]), async (proxy) => {
    const peer = await FramePeer.connect(proxy.port);
    peer.send(headers(1, Buffer.from([0x82]), END_HEADERS | END_STREAM));
    await until(() => peer.resetOf(1) === 'PROTOCOL_ERROR', 'a reset');
    await assertRecorded(proxy, 'http2-protocol', /no :scheme/);
    assert.equal(proxy.decisions.length, 1);
    peer.destroy();
  });
  await upstream.close();
});

test('a download does not pay for resets', async () => {
  const upstream = await backend((request, response) => {
    if (request.url === '/large') response.end(Buffer.alloc(50_000_000));
    else request.resume().on('end', () => response.end('ok'));
  });
  await withProxy(oneService([upstream.port]), async (proxy) => {
    const peer = await FramePeer.connect(proxy.port, 4, 1_000_000);
    let next = 3;
    peer.send(windowUpdate(0, 1_000_000), get(1, '/large'));
    peer.onFrame = ({ type, length, stream }) => {
      if (type !== TYPE.data || length === 0 || stream !== 1) return;
      peer.send(windowUpdate(0, length), windowUpdate(1, length), get(next, '/never'), rst(next));
      next += 2;
    };
    await until(() => peer.goaway !== '', 'GOAWAY');
    assert.equal(peer.goaway, 'ENHANCE_YOUR_CALM');
    assert.ok(
      upstream.hits('/never') <= REQUESTS_MAX,
      `${upstream.hits('/never')} requests reached the endpoint`,
    );
    peer.destroy();
  });
  await upstream.close();
});

test('a client whose requests all run into its own timeout keeps its connection', async () => {
  const upstream = await backend();
  await withProxy(oneService([upstream.port]), async (proxy) => {
    const peer = await FramePeer.connect(proxy.port);
    // As many as a client may have open, three times: more than any burst allows.
    for (let round = 0; round < 3; round++) {
      const ids = Array.from({ length: 100 }, (_, i) => 200 * round + 2 * i + 1);
      peer.send(...ids.map((id) => get(id, '/never')));
      await until(() => upstream.active === 100, 'requests at the endpoint');
      await new Promise((resolve) => setTimeout(resolve, 1_050));
      peer.send(...ids.map((id) => rst(id)));
      await until(() => upstream.active === 0, 'their end');
    }
    peer.send(get(1_001, '/ok'));
    await until(() => peer.ended(1_001), 'an answer');
    assert.equal(peer.goaway, '');
    assert.equal(proxy.listenerCounter('web', 'http2RxReset'), 300);
    peer.destroy();
  });
  await upstream.close();
});

test('attackers together do not have the connection to the endpoint cut off that others use', async () => {
  // Node's limit on resets of clients (nghttp2's): a thousand at once.
  const sessions = new Set<ServerHttp2Session>();
  let requests = 0;
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, head) => {
    requests++;
    stream.on('error', () => {});
    if (head[':path'] === '/never') return;
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const config = `${oneService([port], { service: 'protocol: http2' })}callers: { offences: off }\n`;
  await withProxy(config, async (proxy) => {
    await besides(proxy.port, async () => {
      for (let i = 0; i < 20; i++) {
        const peer = await FramePeer.connect(proxy.port);
        await peer.sent(
          Buffer.concat(
            Array.from({ length: 120 }, (_, j) => Buffer.concat([get(2 * j + 1, '/never'), rst(2 * j + 1)])),
          ),
        );
        await until(() => peer.goaway === 'ENHANCE_YOUR_CALM', 'GOAWAY');
        peer.destroy();
      }
    });
    assert.ok(requests > 0);
  });
  for (const session of sessions) session.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('an honest client that cancels every other request, as fast as it can, keeps its connection', async () => {
  const upstream = await backend();
  await withProxy(oneService([upstream.port]), async (proxy) => {
    const client = connect(`http://127.0.0.1:${proxy.port}`);
    client.on('error', () => {});
    let answered = 0;
    for (let i = 0; i < 400; i++) {
      const stream = client.request({ ':path': i % 2 === 0 ? '/ok' : '/never' });
      stream.on('error', () => {});
      if (i % 2 === 0) {
        for await (const _ of stream);
        answered++;
      } else {
        stream.close(8);
        await new Promise((resolve) => stream.on('close', resolve));
      }
    }
    assert.equal(answered, 200);
    assert.equal(client.destroyed, false);
    client.destroy();
  });
  await upstream.close();
});
