import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';

const HEAD = 'HTTP/1.1 200 OK\r\n';

test('pipelined requests are answered in order on one connection', async () => {
  const backend = await httpBackend((request, response) => {
    const delayed = request.url === '/slow';
    if (delayed) setTimeout(() => response.end(`<${request.url}>`), 30);
    else response.end(`<${request.url}>`);
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(['/slow', '/b', '/c'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
    const text = await client.until((t) => t.includes('</c>'));
    assert.ok(text.indexOf('</slow>') < text.indexOf('</b>') && text.indexOf('</b>') < text.indexOf('</c>'));
    client.destroy();
  });
  await backend.close();
});

test('a pipelined request uses the connection that the one before it used', async () => {
  const backend = await rawBackend((client) => {
    client.socket.on('data', (chunk: Buffer) => {
      for (const _ of chunk.toString('latin1').matchAll(/GET /g))
        client.send(`${HEAD}Content-Length: 2\r\n\r\nok`);
    });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET /1 HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
    await client.until((t) => t.split('ok').length === 21);
    assert.equal(backend.accepted.length, 1);
    client.destroy();
  });
  await backend.close();
});

test('chunked bodies pass both ways with their trailers', async () => {
  const backend = await rawBackend((client) => {
    void client
      .until((t) => t.endsWith('0\r\nx-sum: 3\r\n\r\n'))
      .then(() =>
        client.send(
          `${HEAD}Transfer-Encoding: chunked\r\nTrailer: x-out\r\n\r\n3\r\nabc\r\n0\r\nx-out: 9\r\n\r\n`,
        ),
      );
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n');
    client.send('1\r\na\r\n').send('2\r\nbc\r\n0\r\nx-sum: 3\r\n\r\n');
    const text = await client.until((t) => t.includes('x-out: 9\r\n\r\n'));
    assert.match(text, /transfer-encoding: chunked/i);
    assert.match(text, /abc/);
    client.destroy();
  });
  await backend.close();
});

test('a client of HTTP/1.0 gets an unchunked answer that ends with the connection', async () => {
  const backend = await rawBackend((client) => {
    void client
      .until((t) => t.includes('\r\n\r\n'))
      .then(() => client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.0\r\n\r\n');
    const text = await client.untilEnd();
    assert.doesNotMatch(text, /transfer-encoding/i);
    assert.ok(text.endsWith('\r\n\r\nabc'));
    client.destroy();
  });
  await backend.close();
});

test('HEAD, 204 and 304 answers have no body and keep the connection', async () => {
  const backend = await httpBackend((request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { etag: '"a"' }).end();
    else
      response.writeHead(200, { 'content-length': '5' }).end(request.method === 'HEAD' ? undefined : 'hello');
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    for (const line of ['HEAD / ', 'GET /204 ', 'GET /304 ', 'GET /last ']) {
      client.send(`${line}HTTP/1.1\r\nHost: x\r\n\r\n`);
    }
    const text = await client.until((t) => t.endsWith('hello'));
    assert.deepEqual(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]),
      ['200', '204', '304', '200'],
    );
    assert.equal(text.split('hello').length, 2);
    client.destroy();
  });
  await backend.close();
});

test('100-continue is asked of the backend, and its word is passed on', async () => {
  const backend = await rawBackend((client) => {
    void (async () => {
      await client.until((t) => t.includes('\r\n\r\n'));
      assert.match(client.text, /expect: 100-continue/i);
      assert.ok(!client.text.includes('body'));
      client.send('HTTP/1.1 100 Continue\r\n\r\n');
      await client.until((t) => t.endsWith('body'));
      client.send(`${HEAD}Content-Length: 0\r\n\r\n`);
    })();
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    await client.until((t) => t.startsWith('HTTP/1.1 100 '));
    client.send('body');
    await client.until((t) => t.includes('HTTP/1.1 200 OK'));
    client.destroy();
  });
  await backend.close();
});

test('an answer before the request is told to continue closes the connection', async () => {
  const backend = await rawBackend((client) => {
    void client
      .until((t) => t.includes('\r\n\r\n'))
      .then(() => client.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 400000\r\n\r\n');
    const text = await client.untilEnd();
    assert.match(text, /^HTTP\/1\.1 403 /);
    assert.match(text, /connection: close/i);
    client.destroy();
  });
  await backend.close();
});

test('other interim answers pass before the final one', async () => {
  const backend = await rawBackend((client) => {
    void client
      .until((t) => t.includes('\r\n\r\n'))
      .then(() =>
        client.send(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${HEAD}Content-Length: 0\r\n\r\n`),
      );
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await client.until((t) => t.includes('200 OK'));
    assert.match(text, /^HTTP\/1\.1 103 [^\r]*\r\nLink: <\/a>\r\n/);
    client.destroy();
  });
  await backend.close();
});

test('an upgraded connection carries raw bytes both ways and half-closes', async () => {
  const backend = await rawBackend((client) => {
    void (async () => {
      await client.until((t) => t.includes('\r\n\r\n'));
      assert.match(client.text, /upgrade: echo/i);
      assert.match(client.text, /connection: upgrade/i);
      client.send(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfrom server',
      );
      await client.until((t) => t.endsWith('from client'));
      await client.untilEnd();
      client.send(' bye');
      client.socket.end();
    })();
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    await client.until((t) => t.endsWith('from server'));
    client.send('from client');
    client.socket.end();
    assert.ok((await client.untilEnd()).endsWith('from server bye'));
    await client.untilClosed();
  });
  await backend.close();
});

test('a declined upgrade closes the connection: what follows may be either protocol', async () => {
  const backend = await httpBackend((request, response) => response.end(`<${request.url}>`));
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET /1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    client.send('GET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await client.untilEnd();
    assert.match(text, /^HTTP\/1\.1 200 [\s\S]*connection: close\r\n\r\n<\/1>$/i);
    assert.equal(backend.requests.length, 1);
    client.destroy();
  });
  await backend.close();
});

test('header case and order are kept, hop-by-hop fields are not', async () => {
  const backend = await rawBackend((client) => {
    void client
      .until((t) => t.includes('\r\n\r\n'))
      .then(() =>
        client.send(
          `${HEAD}X-MiXeD: Yes\r\nKeep-Alive: timeout=5\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n`,
        ),
      );
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send(
      'GET / HTTP/1.1\r\nHost: Shop\r\nX-CaSe: a\r\nX-Two: b\r\nConnection: x-two\r\nTE: gzip, trailers\r\n\r\n',
    );
    const text = await client.until((t) => t.includes('\r\n\r\n'));
    const seen = (backend.accepted[0] as RawClient).text;
    assert.match(seen, /\r\nX-CaSe: a\r\n/);
    assert.match(seen, /\r\nHost: Shop\r\n/i);
    assert.match(seen, /\r\nte: trailers\r\n/i);
    assert.doesNotMatch(seen, /x-two/i);
    assert.match(text, /\r\nX-MiXeD: Yes\r\n/);
    assert.doesNotMatch(text, /x-hop|keep-alive/i);
    client.destroy();
  });
  await backend.close();
});

test('an answer that comes before the request body ends is delivered, and the rest of the body is dropped', async () => {
  const backend = await rawBackend((client, index) => {
    if (index > 0) return;
    void client
      .until((t) => t.includes('first'))
      .then(() => client.send(`HTTP/1.1 422 No\r\nContent-Length: 5\r\n\r\nearly`));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nfirst');
    await client.until((t) => t.endsWith('early'));
    client.send('x'.repeat(99_995));
    client.send('GET /next HTTP/1.1\r\nHost: x\r\n\r\n');
    await (await backend.connection(1)).until((t) => t.startsWith('GET /next'));
    client.destroy();
  });
  await backend.close();
});

test('a client that goes away takes its upstream request with it', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const upstream = await backend.connection(0);
    await upstream.until((t) => t.includes('\r\n\r\n'));
    client.destroy();
    await upstream.untilEnd();
    await proxy.recorded();
    assert.equal(proxy.decisions[0]?.code, 'downstream-gone');
  });
  await backend.close();
});

test('a large body is carried whole in both directions', async () => {
  const size = 8 * 1024 * 1024;
  const backend = await httpBackend((request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => response.end(Buffer.alloc(bytes, 97)));
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const received = await new Promise<number>((resolve, reject) => {
      const request = httpRequest({ port: proxy.port, host: '127.0.0.1', method: 'PUT' }, (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        response.on('end', () => resolve(bytes));
      });
      request.on('error', reject);
      request.end(Buffer.alloc(size, 98));
    });
    assert.equal(received, size);
  });
  await backend.close();
});
