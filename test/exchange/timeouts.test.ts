/** Every timeout on the data path, each set short and met over real sockets: who is told what, and what is closed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend, unacceptingPort } from '../kit/raw.ts';

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('connectTimeout: an endpoint that does not accept is 503 UF', async () => {
  const full = await unacceptingPort();
  const config = oneService([full.port], {
    rule: 'retry: { attempts: 0 }',
    service: 'connectTimeout: 50ms',
  });
  await withProxy(config, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.includes('503 connect-timeout (UF)'));
    const decision = await proxy.decision();
    assert.deepEqual([decision.flags, decision.attempts[0]?.outcome], ['UF', 'connect-timeout']);
    assert.equal(proxy.counter('a', 'upstreamCxConnectTimeout'), 1);
    await until(() => proxy.gauge('a', 'connections') === 0, 'the connection slot comes back');
    client.destroy();
  });
  await full.close();
});

test('timeouts.request: an endpoint that does not answer is 504 UT, and its connection is closed', async () => {
  const backend = await rawBackend();
  const rule = 'timeouts: { request: 50ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.includes('504 request-timeout (UT)'));
    assert.doesNotMatch(client.text, /connection: close/i);
    const decision = await proxy.decision();
    assert.deepEqual([decision.status, decision.limit, decision.limitValue], [504, 'timeouts.request', 50]);
    await (await backend.connection(0)).untilEnd();
    client.destroy();
  });
  await backend.close();
});

test('timeouts.request: an answer that outlasts it is cut off, and does not look complete', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => {
        upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n');
        const drip = setInterval(() => upstream.send('1\r\na\r\n'), 5);
        upstream.socket.on('close', () => clearInterval(drip));
        upstream.socket.on('end', () => upstream.socket.end());
      });
  });
  const rule = 'timeouts: { request: 60ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).untilClosed();
    assert.equal(client.error?.code, 'ECONNRESET');
    assert.match(client.text, /begun/);
    const decision = await proxy.decision();
    assert.deepEqual([decision.status, decision.code], [200, 'request-timeout']);
  });
  await backend.close();
});

test('timeouts.request counts from the end of the request: a slow upload is no slow answer', async () => {
  const backend = await httpBackend((request, response) => {
    request.resume().on('end', () => response.end('ok'));
  });
  const rule = 'timeouts: { request: 80ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n');
    const upload = new Promise<void>((resolve) => {
      let left = 30;
      const drip = setInterval(() => {
        client.send('a');
        if (--left > 0) return;
        clearInterval(drip);
        resolve();
      }, 5);
    });
    await upload;
    await client.until((t) => t.includes('200 OK'));
    client.destroy();
  });
  await backend.close();
});

test('timeouts.backendRequest: an attempt that outlasts it is 504 UT', async () => {
  const backend = await rawBackend();
  const rule = 'timeouts: { request: 5s, backendRequest: 50ms }\nretry: { attempts: 0 }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.includes('504 per-try-timeout (UT)'));
    assert.equal((await proxy.decision()).attempts[0]?.outcome, 'per-try-timeout');
    await (await backend.connection(0)).untilEnd();
    client.destroy();
  });
  await backend.close();
});

test('timeouts.backendRequest does not cut an answer whose head has come', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => {
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n');
        let left = 40;
        const drip = setInterval(() => {
          upstream.send('a');
          if (--left === 0) clearInterval(drip);
        }, 5);
      });
  });
  const rule = 'timeouts: { request: 5s, backendRequest: 60ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.endsWith('a'.repeat(40)));
    client.destroy();
  });
  await backend.close();
});

test('idle: an endpoint that falls silent before it answers is 504 SI', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { idle: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.includes('504 stream-idle (SI)'));
    assert.equal((await proxy.decision()).flags, 'SI');
    await (await backend.connection(0)).untilEnd();
    client.destroy();
  });
  await backend.close();
});

test('idle: an endpoint that falls silent in its answer resets the client', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun'));
  });
  const listener = 'timeouts: { idle: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).untilClosed();
    assert.equal(client.error?.code, 'ECONNRESET');
    assert.match(client.text, /begun$/);
    const decision = await proxy.decision();
    assert.deepEqual([decision.status, decision.code, decision.flags], [200, 'stream-idle', 'SI']);
    await (await backend.connection(0)).untilEnd();
  });
  await backend.close();
});

test('idle: bytes that move keep a request alive, however long it takes', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => {
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n');
        let left = 60;
        const drip = setInterval(() => {
          upstream.send('a');
          if (--left === 0) clearInterval(drip);
        }, 5);
      });
  });
  const listener = 'timeouts: { idle: 150ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.endsWith('a'.repeat(60)));
    client.destroy();
  });
  await backend.close();
});

test('idle: an endpoint that stops reading an upload is to blame, not the client: 504 SI', async () => {
  const backend = await rawBackend((upstream) => upstream.socket.pause());
  const listener = 'timeouts: { idle: 100ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n');
    const part = 'a'.repeat(1_000_000);
    const more = (): void => {
      while (client.socket.writable && client.socket.write(part));
    };
    client.socket.on('drain', more);
    more();
    await client.until((t) => t.includes('504 stream-idle (SI)'));
    assert.equal((await proxy.decision()).code, 'stream-idle');
    client.destroy();
  });
  await backend.close();
});

test('idle: a client that stops reading its answer is cut off, and the endpoint freed', async () => {
  const backend = await httpBackend((_, response) => {
    const part = Buffer.alloc(1_000_000, 97);
    const more = (): void => {
      while (!response.destroyed && response.write(part));
    };
    response.on('drain', more);
    more();
  });
  const listener = 'timeouts: { idle: 100ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(GET).socket.pause();
    const decision = await proxy.decision();
    assert.deepEqual([decision.code, decision.status], ['stream-idle', 200]);
    await until(() => backend.requests[0]?.socket.destroyed === true, 'the endpoint is told');
    await until(() => proxy.connections === 0, 'the connection is closed');
    client.destroy();
  });
  await backend.close();
});

test('idle: a client that never reads the last of a complete answer does not keep its connection', async () => {
  // Longer than the kernel's buffers on both sides, shorter than that with what the proxy may hold.
  const backend = await httpBackend((_, response) => response.end(Buffer.alloc(64_000_000, 97)));
  const listener = 'timeouts: { idle: 100ms }';
  for (const fields of ['', 'Connection: close\r\n']) {
    await withProxy(oneService([backend.port], { listener }), async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      client.send(`GET / HTTP/1.1\r\nHost: x\r\n${fields}\r\n`).socket.pause();
      await until(() => proxy.connections === 1, 'the connection is accepted');
      await until(() => proxy.connections === 0, 'the connection is closed');
      client.destroy();
    });
  }
  await backend.close();
});

test('a slow reader gets the whole of a last answer, however long after it was sent', async () => {
  const size = 3_000_000;
  const backend = await httpBackend((_, response) => response.end(Buffer.alloc(size, 97)));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').socket.pause();
    await until(
      () => proxy.active === 0 || backend.requests[0]?.complete === true,
      'the answer is under way',
    );
    // Longer than the lingering close, which begins when everything has gone out.
    let reads = 0;
    const sip = setInterval(() => {
      client.socket.resume();
      setImmediate(() => client.socket.pause());
      if (++reads === 60) {
        clearInterval(sip);
        client.socket.resume();
      }
    }, 25);
    const text = await client.untilEnd();
    clearInterval(sip);
    assert.equal(client.error, null);
    assert.equal(text.match(/a{1000}/g)?.length, size / 1000);
    client.destroy();
  });
  await backend.close();
});

test('header: a client that trickles its head is 408 after the time from its first byte', async () => {
  const backend = await rawBackend();
  const listener = 'timeouts: { header: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const drip = setInterval(() => client.send('G'), 10);
    await client.untilEnd();
    clearInterval(drip);
    assert.match(client.text, /^HTTP\/1\.1 408 [\s\S]*header-timeout/);
    client.destroy();
  });
  await backend.close();
});

test('keep-alive: a client that sends nothing is closed in order, without an answer or a record', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  const listener = 'timeouts: { idle: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const silent = await RawClient.connect(proxy.port);
    assert.equal(await silent.untilEnd(), '');
    const served = await RawClient.connect(proxy.port);
    const text = await served.send(GET).until((t) => t.endsWith('ok'));
    assert.equal(await served.untilEnd(), text);
    assert.deepEqual([silent.error, served.error], [null, null]);
    silent.destroy();
    served.destroy();
    await proxy.recorded();
    assert.equal(proxy.decisions.length, 0);
  });
  await backend.close();
});

test('keep-alive: a request that crosses the close is not sent on', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  const listener = 'timeouts: { idle: 60ms }';
  await withProxy(oneService([backend.port], { listener }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.untilEnd();
    client.send(GET);
    await until(() => proxy.connections === 0, 'the connection is closed');
    client.destroy();
    assert.equal(client.text, '');
    assert.equal(backend.requests.length, 0, 'the client may send it again without doubt');
  });
  await backend.close();
});

test('keep-alive: an unused connection to an endpoint is closed after idleTimeout', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', () => upstream.send(OK));
  });
  await withProxy(oneService([backend.port], { service: 'idleTimeout: 60ms' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(GET).until((t) => t.endsWith('ok'));
    const upstream = backend.accepted[0] as RawClient;
    await upstream.untilEnd();
    assert.equal(upstream.error, null);
    // The endpoint has not closed its side: the descriptor is not waited for longer than a moment.
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    client.destroy();
  });
  await backend.close();
});

test('tunnels: silence in both directions ends one, bytes in either keep it', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream
      .until((t) => t.endsWith('\r\n\r\n'))
      .then(() => upstream.send('HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n'));
  });
  const config = oneService([backend.port], {
    listener: 'timeouts: { idle: 60ms, tunnelIdle: 150ms }',
    rule: 'timeouts: { request: 60ms }',
  });
  await withProxy(config, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n');
    await client.until((t) => t.includes('101'));
    const upstream = await backend.connection(0);
    // Longer than each of the three: none ends a tunnel that is used.
    for (let i = 1; i <= 30; i++) {
      const [from, to] = i % 2 === 0 ? [client, upstream] : [upstream, client];
      from.send(`<${i}>`);
      await to.until((t) => t.endsWith(`<${i}>`));
      await new Promise((resolve) => setTimeout(resolve, 8));
    }
    assert.equal(proxy.active, 1);
    await client.untilClosed();
    await upstream.untilEnd();
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.status, decision.limit],
      ['stream-idle', 101, 'timeouts.tunnelIdle'],
    );
  });
  await backend.close();
});

test('a timeout of 0 is off', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], {
    listener: 'timeouts: { idle: 0s }',
    rule: 'timeouts: { request: 0s }',
  });
  await withProxy(config, async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(GET);
    const upstream = await backend.connection(0);
    await upstream.until((t) => t.endsWith('\r\n\r\n'));
    assert.equal(proxy.armedTimers, 0);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    client.destroy();
  });
  await backend.close();
});
