/**
 * Slow readers on either side: what they don't read stays where it comes from, the proxy holds a bounded
 * part of it, others are served meanwhile, and when they read on everything arrives whole.
 */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';

const MIB = 1024 * 1024;
const TOTAL = 150 * MIB;
/**
 * More than the kernel keeps for the sockets of two hops: up to 32 MiB to receive and 4 to send each, where
 * net.ipv4.tcp_rmem and tcp_wmem are generous.
 */
const HELD_MAX = 80 * MIB;
/** What the proxy itself may hold of one body: two high-water marks, two reads, and slack for the collector. */
const MEMORY_MAX = 12 * MIB;

/** Different in every part, so that a lost, doubled or exchanged one changes the sum. */
class Parts {
  sent = 0;
  readonly sum: Hash = createHash('sha1');
  private readonly part = Buffer.alloc(MIB, 'outboard');

  next(): Buffer | null {
    if (this.sent === TOTAL) return null;
    const part = Buffer.from(this.part);
    part.writeUInt32BE(this.sent / MIB, 0);
    this.sum.update(part);
    this.sent += MIB;
    return part;
  }

  /** Writes as fast as the other side takes it, then calls `end`. */
  pour(to: Writable, end: () => void): void {
    const more = (): void => {
      for (let part = this.next(); part !== null; part = this.next()) if (!to.write(part)) return;
      to.removeListener('drain', more);
      end();
    };
    to.on('drain', more);
    more();
  }
}

class Received {
  bytes = 0;
  readonly sum: Hash = createHash('sha1');

  take = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    this.sum.update(chunk);
  };
}

/** Resolves when the value has not changed for a while. */
async function standstill(value: () => number): Promise<void> {
  let last = -1;
  let since = Date.now();
  await until(() => {
    if (value() !== last) since = Date.now();
    last = value();
    return last > 0 && Date.now() - since > 150;
  }, 'a standstill');
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of buffers in use. */
function held(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Buffers that were collected are freed a moment later. */
function assertHeldBelow(bytes: number): Promise<void> {
  return until(() => held() < bytes, `less than ${bytes / MIB} MiB are held`);
}

async function assertServes(proxy: TestProxy): Promise<void> {
  const client = await RawClient.connect(proxy.port);
  for (let i = 0; i < 5; i++) {
    client.text = '';
    await client.send('GET /other HTTP/1.1\r\nHost: x\r\n\r\n').until((t) => t.endsWith('other'));
  }
  client.destroy();
}

test('a client that does not read: the endpoint is paused, memory stays bounded, then all of it arrives', async () => {
  const parts = new Parts();
  const backend = await httpBackend((request, response) => {
    if (request.url === '/other') {
      response.end('other');
      return;
    }
    response.writeHead(200, { 'content-length': TOTAL });
    parts.pour(response, () => response.end());
  });
  await withProxy(oneService([backend.port], { rule: 'timeouts: { request: 0s }' }), async (proxy) => {
    const before = held();
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      httpRequest({ port: proxy.port, host: '127.0.0.1', path: '/large', agent: false }, resolve)
        .on('error', reject)
        .end();
    });
    await standstill(() => parts.sent);
    assert.ok(parts.sent < HELD_MAX, `the endpoint was paused after ${parts.sent / MIB} MiB`);
    await assertHeldBelow(before + MEMORY_MAX);
    await assertServes(proxy);

    const received = new Received();
    answer.on('data', received.take);
    await new Promise((resolve) => answer.on('end', resolve));
    assert.equal(received.bytes, TOTAL);
    assert.equal(received.sum.digest('hex'), parts.sum.digest('hex'));
  });
  await backend.close();
});

test('an endpoint that does not read: the client is paused, memory stays bounded, then all of it arrives', async () => {
  const received = new Received();
  let upload: IncomingMessage | null = null;
  const backend = await httpBackend((request, response) => {
    if (request.url === '/other') {
      response.end('other');
      return;
    }
    upload = request;
    request.on('end', () => response.end(`got ${received.bytes}`));
  });
  const rule = 'timeouts: { request: 0s }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    for (const framing of [`Content-Length: ${TOTAL}`, 'Transfer-Encoding: chunked']) {
      const before = held();
      const parts = new Parts();
      const client = await RawClient.connect(proxy.port);
      client.send(`POST /large HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`);
      if (framing.startsWith('Content')) parts.pour(client.socket, () => {});
      else pourChunked(parts, client);
      await standstill(() => parts.sent);
      assert.ok(parts.sent < HELD_MAX, `the client was paused after ${parts.sent / MIB} MiB`);
      await assertHeldBelow(before + MEMORY_MAX);
      await assertServes(proxy);

      received.bytes = 0;
      const sum = createHash('sha1');
      (upload as unknown as IncomingMessage).on('data', (chunk: Buffer) => {
        received.bytes += chunk.length;
        sum.update(chunk);
      });
      await client.until((t) => t.includes(`got ${TOTAL}`));
      assert.equal(sum.digest('hex'), parts.sum.digest('hex'));
      client.destroy();
    }
  });
  await backend.close();
});

test('a tunnel whose one side does not read pauses the other', async () => {
  const parts = new Parts();
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => {
        upstream.send('HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n');
        parts.pour(upstream.socket, () => upstream.socket.end());
      });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const before = held();
    const received = new Received();
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n');
    client.socket.pause();
    await standstill(() => parts.sent);
    assert.ok(parts.sent < HELD_MAX, `the endpoint was paused after ${parts.sent / MIB} MiB`);
    await assertHeldBelow(before + MEMORY_MAX);
    client.socket.removeAllListeners('data');
    let headBytes = -1;
    client.socket.on('data', (chunk: Buffer) => {
      if (headBytes >= 0) received.take(chunk);
      else {
        headBytes = chunk.indexOf('\r\n\r\n') + 4;
        if (chunk.length > headBytes) received.take(chunk.subarray(headBytes));
      }
    });
    client.socket.resume();
    await client.untilEnd();
    assert.equal(received.sum.digest('hex'), parts.sum.digest('hex'));
    client.destroy();
  });
  await backend.close();
});

test('a client that pipelines and never reads is paused, and its requests are not all sent on', async () => {
  const body = Buffer.alloc(100_000, 97);
  const backend = await httpBackend((request, response) => {
    response.end(request.url === '/other' ? 'other' : body);
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const before = held();
    const client = await RawClient.connect(proxy.port);
    client.socket.pause();
    const requests = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000);
    let poured = 0;
    const more = (): void => {
      while (poured < TOTAL && client.socket.writable) {
        poured += requests.length;
        if (!client.socket.write(requests, 'latin1')) return;
      }
    };
    client.socket.on('drain', more);
    more();
    await standstill(() => backend.requests.length);
    assert.ok(
      backend.requests.length * body.length < HELD_MAX,
      `${backend.requests.length} requests were sent on`,
    );
    assert.ok(poured < HELD_MAX, `${poured / MIB} MiB of requests were read`);
    await assertHeldBelow(before + MEMORY_MAX);
    await assertServes(proxy);
    client.destroy();
    await until(() => proxy.connections === 0, 'the connection is closed');
  });
  await backend.close();
});

test('a client that pipelines behind a request that is not answered is paused', async () => {
  const release = Promise.withResolvers<void>();
  const backend = await httpBackend((_, response) => {
    void release.promise.then(() => response.end('ok'));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const before = held();
    const client = await RawClient.connect(proxy.port);
    const requests = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000);
    let poured = 0;
    const more = (): void => {
      while (poured < TOTAL && client.socket.writable) {
        poured += requests.length;
        if (!client.socket.write(requests, 'latin1')) return;
      }
    };
    client.socket.on('drain', more);
    more();
    await standstill(() => poured);
    assert.ok(poured < HELD_MAX, `${poured / MIB} MiB of requests were read`);
    await assertHeldBelow(before + MEMORY_MAX);
    client.destroy();
    assert.equal(backend.requests.length, 1);
    release.resolve();
    await until(() => proxy.connections === 0, 'the connection is closed');
  });
  await backend.close();
});

function pourChunked(parts: Parts, client: RawClient): void {
  const socket = client.socket;
  const more = (): void => {
    for (let part = parts.next(); part !== null; part = parts.next()) {
      socket.write(`${part.length.toString(16)}\r\n`);
      socket.write(part);
      if (!socket.write('\r\n')) return;
    }
    socket.removeListener('drain', more);
    socket.write('0\r\n\r\n');
  };
  socket.on('drain', more);
  more();
}
