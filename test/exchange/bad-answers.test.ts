/**
 * What an endpoint does wrong, over real sockets: the client gets a coded answer, or, where some of the answer has
 * already gone out, a reset that no client takes for its end; the connection is never used again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, type RawBackend, RawClient, rawBackend } from '../kit/raw.ts';
import { ca, TLS, tlsSecrets } from './tls.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const head = (...fields: string[]): string => `${OK}${fields.join('\r\n')}\r\n\r\n`;

type Case = readonly [name: string, wire: string, detail: RegExp];

/** Refused by the head: nothing of it reaches the client. */
const HEADS: readonly Case[] = [
  ['two Content-Lengths', `${head('Content-Length: 3', 'Content-Length: 4')}abcd`, /bad-content-length/],
  ['equal Content-Lengths', `${head('Content-Length: 3', 'Content-Length: 3')}abc`, /bad-content-length/],
  ['a Content-Length that is none', head('Content-Length: abc'), /bad-content-length/],
  [
    'Content-Length with Transfer-Encoding',
    `${head('Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    /length-conflict/,
  ],
  ['chunked not last', head('Transfer-Encoding: chunked, gzip'), /transfer-encoding/],
  ['another coding', head('Transfer-Encoding: gzip, chunked'), /transfer-encoding/],
  [
    'Transfer-Encoding with 204',
    'HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n',
    /transfer-encoding/,
  ],
  ['obs-fold', head('X-A: b', ' c', 'Content-Length: 0'), /obs-fold/],
  ['a bare LF', `${OK}Content-Length: 0\n\r\n`, /bare-lf/],
  ['a bare LF after the status line', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', /bare-lf/],
  ['a bare CR', head('X-A: b\rc', 'Content-Length: 0'), /bare-cr/],
  ['NUL in a field', head('X-A: b\0c', 'Content-Length: 0'), /control-byte/],
  ['white space before the colon', head('Content-Length : 0'), /space-before-colon/],
  [
    'Connection: Content-Length',
    `${head('Connection: content-length', 'Content-Length: 3')}abc`,
    /connection/,
  ],
  ['HTTP/1.0 with Transfer-Encoding', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', /http10/],
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', /does not begin with HTTP/],
  ['TLS on a plain port', '\x15\x03\x01\x00\x02\x02\x46', /speaks TLS/],
  ['HTTP/2', '\x00\x00\x12\x04\x00\x00\x00\x00\x00', /HTTP\/2/],
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n', /version/],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', /status/],
  ['a status below 100', 'HTTP/1.1 099 Odd\r\n\r\n', /status/],
  [
    '101 that nobody asked for',
    'HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n',
    /not asked for/,
  ],
  ['too many bytes of headers', head(`X-A: ${'a'.repeat(70_000)}`, 'Content-Length: 0'), /headers-too-large/],
  ['too many headers', head(...Array<string>(101).fill('X-A: b')), /headers-too-large/],
  [
    'headers without end',
    `${OK}${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(4_000)}`,
    /headers-too-large/,
  ],
  ['a flood of interim answers', 'HTTP/1.1 102 Wait\r\n\r\n'.repeat(20), /interim/],
];

for (const [name, wire, detail] of HEADS) {
  test(`502 and no reuse: ${name}`, async () => {
    const backend = await answering(wire);
    await withProxy(oneService([backend.port]), async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      const text = await client.send(REQUEST).until((t) => /\n502 [\s\S]*\nrequest /.test(t));
      assert.match(text, /HTTP\/1\.1 502 [\s\S]*502 upstream-protocol \(UPE\)\n/);
      assert.doesNotMatch(text, /X-A/);
      await (backend.accepted[0] as RawClient).untilEnd();
      const decision = await proxy.decision();
      assert.deepEqual(
        [decision.status, decision.code, decision.flags, decision.attempts.length],
        [502, 'upstream-protocol', 'UPE', 1],
      );
      assert.match(decision.detail, detail);
      assert.equal(decision.attempts[0]?.outcome, 'upstream-protocol');
      await assertFreshConnection(client, backend);
    });
    await backend.close();
  });
}

test('an endless head is refused at its limit, while it is still being sent', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => {
      upstream.send(OK);
      upstream.socket.on('drain', () => more());
      const more = (): void => {
        while (
          upstream.socket.writable &&
          upstream.socket.write('X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n')
        );
      };
      more();
    });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(REQUEST).until((t) => t.includes('502 upstream-protocol'));
    await (backend.accepted[0] as RawClient).untilEnd();
    client.destroy();
  });
  await backend.close();
});

/** Broken after the head: what came before has gone to the client. */
const BODIES: readonly (readonly [name: string, wire: string, fields: string, code: string])[] = [
  ['a chunk size that is none', '3\r\nabc\r\nxyz\r\n', 'Transfer-Encoding: chunked', 'upstream-protocol'],
  [
    'a chunk longer than its size',
    '3\r\nabcdef\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked',
    'upstream-protocol',
  ],
  ['a bare LF in a chunk line', '3\r\nabc\r\n3\nabc\r\n', 'Transfer-Encoding: chunked', 'upstream-protocol'],
  [
    'a trailer that frames',
    '3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n',
    'Transfer-Encoding: chunked',
    'upstream-protocol',
  ],
];

for (const [name, wire, fields, code] of BODIES) {
  test(`reset and no reuse: ${name}`, async () => {
    const backend = await answering(head(fields) + wire);
    await withProxy(oneService([backend.port]), async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      await client.send(REQUEST).untilClosed();
      assert.equal(client.error?.code, 'ECONNRESET');
      assert.ok(!client.ended, 'no orderly end');
      assert.doesNotMatch(bodyOf(client.text), /0\r\n\r\n/);
      const decision = await proxy.decision();
      assert.deepEqual([decision.status, decision.code, decision.flags], [200, code, 'UPE']);
      await assertFreshConnection(await RawClient.connect(proxy.port), backend);
    });
    await backend.close();
  });
}

/** An answer cut off: how the body is framed, and how the endpoint ends the connection. */
const CUTS = [
  ['by Content-Length, by FIN', 'Content-Length: 100', 'end'],
  ['by Content-Length, by RST', 'Content-Length: 100', 'reset'],
  ['chunked, by FIN', 'Transfer-Encoding: chunked', 'end'],
  ['chunked, by RST', 'Transfer-Encoding: chunked', 'reset'],
  ['delimited by the close, by RST', 'X-A: b', 'reset'],
] as const;

for (const version of ['1.1', '1.0']) {
  for (const [name, fields, how] of CUTS) {
    test(`a truncated answer (${name}) does not look complete to a client of HTTP/${version}`, async () => {
      const cut = Promise.withResolvers<void>();
      const backend = await rawBackend((upstream) => {
        void (async () => {
          await upstream.until(complete);
          upstream.send(`${head(fields)}5\r\nbegun\r\n`);
          await cut.promise;
          if (how === 'end') upstream.socket.end();
          else upstream.socket.resetAndDestroy();
        })();
      });
      await withProxy(oneService([backend.port]), async (proxy) => {
        const client = await RawClient.connect(proxy.port);
        await client.send(`GET / HTTP/${version}\r\nHost: x\r\n\r\n`).until((t) => t.includes('begun'));
        cut.resolve();
        await client.untilClosed();
        assert.equal(client.error?.code, 'ECONNRESET');
        assert.ok(!client.ended && !bodyOf(client.text).includes('0\r\n\r\n'));
        const decision = await proxy.decision();
        assert.deepEqual([decision.status, decision.code], [200, 'closed-mid-response']);
      });
      await backend.close();
    });
  }
}

test('an answer that the close delimits properly is complete', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => {
      upstream.send(`${head('X-A: b')}all of it`);
      upstream.socket.end();
    });
  });
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(REQUEST).until((t) => t.endsWith('all of it\r\n0\r\n\r\n'));
    client.destroy();
    await proxy.recorded();
    assert.equal(proxy.decisions.length, 0);
  });
  await backend.close();
});

test('a close in the middle of the head is a 502 or 503 of ours, never half a head', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => upstream.send('HTTP/1.1 200 OK\r\nX-A: b').socket.end());
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { attempts: 0 }' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(REQUEST).until((t) => t.includes('\nrequest '));
    assert.match(text, /^HTTP\/1\.1 502 [\s\S]*502 closed-mid-response \(UC\)/);
    client.destroy();
  });
  await backend.close();
});

test('bytes beyond the answer are dropped and the connection with them', async () => {
  const second = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned';
  const backend = await answering(`${head('Content-Length: 4')}good${second}`);
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(REQUEST + REQUEST).until((t) => t.split('good').length === 3);
    assert.doesNotMatch(client.text, /poison/);
    assert.equal(backend.accepted.length, 2);
    await Promise.all(backend.accepted.map((connection) => connection.untilEnd()));
    client.destroy();
  });
  await backend.close();
});

test('an answer longer than its Content-Length is cut there and its connection dropped', async () => {
  const backend = await answering(`${head('Content-Length: 4')}goodbye`);
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(REQUEST).until((t) => t.includes('\r\n\r\ngood'));
    assert.ok(text.endsWith('\r\n\r\ngood'));
    await (backend.accepted[0] as RawClient).untilEnd();
    await assertFreshConnection(client, backend);
  });
  await backend.close();
});

test('a body after an answer that has none is no answer to the next request', async () => {
  for (const wire of [
    'HTTP/1.1 204 No Content\r\n\r\nbody',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody',
  ]) {
    const backend = await answering(wire);
    await withProxy(oneService([backend.port]), async (proxy) => {
      const client = await RawClient.connect(proxy.port);
      await client.send(REQUEST).until((t) => t.endsWith('\r\n\r\n'));
      await (backend.accepted[0] as RawClient).untilEnd();
      await assertFreshConnection(client, backend);
    });
    await backend.close();
  }
});

test('an answer to no request, on an idle connection, closes it before it can be given to anyone', async () => {
  const backend = await answering(`${head('Content-Length: 4')}good`);
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(REQUEST).until((t) => t.endsWith('good'));
    const upstream = backend.accepted[0] as RawClient;
    upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned');
    await upstream.untilEnd();
    await assertFreshConnection(client, backend);
    assert.doesNotMatch(client.text, /poison/);
    await proxy.recorded();
    assert.equal(proxy.decisions.length, 0);
  });
  await backend.close();
});

test('bytes on an idle connection in the instant it is reused are taken for an answer to nobody else', async () => {
  const backend = await answering(`${head('Content-Length: 4')}good`);
  await withProxy(oneService([backend.port]), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send(REQUEST).until((t) => t.endsWith('good'));
    const upstream = backend.accepted[0] as RawClient;
    for (let round = 0; round < 20 && !upstream.ended; round++) {
      upstream.send('\0garbage');
      client.send('GET /next HTTP/1.1\r\nHost: x\r\n\r\n');
      await until(() => (client.text.match(/HTTP\/1\.1 /g)?.length ?? 0) === round + 2, 'an answer');
    }
    assert.doesNotMatch(client.text, /garbage/);
    assert.ok(upstream.ended);
    client.destroy();
  });
  await backend.close();
});

test('an endpoint that closes without a word: 503 UC, and the client can go on', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => upstream.socket.end());
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { attempts: 0 }' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(REQUEST).until((t) => t.includes('\nrequest '));
    assert.match(text, /^HTTP\/1\.1 503 [\s\S]*503 closed-before-response \(UC\)/);
    assert.doesNotMatch(text, /connection: close/i);
    client.text = '';
    await client.send(REQUEST).until((t) => t.includes('\nrequest '));
    client.destroy();
  });
  await backend.close();
});

test('an endpoint that resets without a word: 503 UR', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => upstream.socket.resetAndDestroy());
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { attempts: 0 }' }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const text = await client.send(REQUEST).until((t) => t.includes('\nrequest '));
    assert.match(text, /^HTTP\/1\.1 503 [\s\S]*503 reset-before-response \(UR\)/);
    client.destroy();
  });
  await backend.close();
});

test('over TLS a truncated answer ends without a close_notify', async () => {
  const cut = Promise.withResolvers<void>();
  const backend = await rawBackend((upstream) => {
    void (async () => {
      await upstream.until(complete);
      upstream.send(`${head('Content-Length: 100')}begun`);
      await cut.promise;
      upstream.socket.end();
    })();
  });
  await withProxy(
    oneService([backend.port], {
      listener: TLS,
    }),
    async (proxy) => {
      const socket = connectTls({ port: proxy.port, host: '127.0.0.1', ca: ca.certPem, servername: 'web' });
      const client = new RawClient(socket);
      await client.send(REQUEST).until((t) => t.endsWith('begun'));
      cut.resolve();
      await client.untilClosed();
      assert.equal(client.error?.code, 'ECONNRESET');
      assert.ok(!client.ended);
      await proxy.decision();
    },
    { secrets: await tlsSecrets() },
  );
  await backend.close();
});

function complete(text: string): boolean {
  return text.endsWith('\r\n\r\n');
}

function bodyOf(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** Sends the same bytes for every request. */
function answering(wire: string): Promise<RawBackend> {
  return rawBackend((upstream) => {
    upstream.socket.on('data', (chunk: Buffer) => {
      for (const _ of chunk.toString('latin1').matchAll(/GET /g)) upstream.send(wire);
    });
  });
}

/** The client's connection lives, and its next request goes over a new connection. */
async function assertFreshConnection(client: RawClient, backend: RawBackend): Promise<void> {
  const known = backend.accepted.length;
  client.send(REQUEST);
  const upstream = await backend.connection(known);
  await upstream.until(complete);
  client.destroy();
}
