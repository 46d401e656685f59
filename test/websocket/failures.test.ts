/** Endpoints that agree to nothing, or to what was not asked: what the client is told, and what is left. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, rawBackend } from '../kit/raw.ts';
import { type Asked, opener, type Version, withTunnels } from './kit.ts';

for (const proof of ['bm90IHRoaXMgb25lIGF0IGFsbCE=', ''])
  test(`${proof === '' ? 'no' : 'a wrong'} Sec-WebSocket-Accept to a key of our making is a 502`, async () => {
    const onAsked = (asked: Asked): void => {
      asked.agree(proof);
    };
    await withTunnels(
      { client: '2', endpoint: '1.1' },
      async ({ proxy, opener: by }) => {
        const { status, end } = await by.open();
        assert.equal(status, 502);
        await end.until(() => /upstream-protocol/.test(end.text), 'an explanation');
        end.end();
        const decision = await proxy.decision();
        assert.deepEqual([decision.code, decision.flags], ['upstream-protocol', 'UPE']);
        assert.match(decision.detail, /Sec-WebSocket-Accept/);
        await until(() => proxy.gauge('a', 'connections') === 0, 'its connection is closed');
      },
      { onAsked },
    );
  });

test('a client of HTTP/1.1 is shown the Sec-WebSocket-Accept that answers its own key, whatever it is', async () => {
  const onAsked = (asked: Asked): void => {
    asked.agree('wrong').send('welcome');
  };
  await withTunnels(
    { client: '1.1', endpoint: '1.1' },
    async ({ opener: by }) => {
      const { status, fields, end } = await by.open();
      assert.deepEqual([status, fields['sec-websocket-accept']], [101, 'wrong']);
      await end.hears('welcome');
      end.reset();
    },
    { onAsked },
  );
});

test('an endpoint of HTTP/1.1 that answers 200 has not agreed: the client of HTTP/2 must not take it for that', async () => {
  const onAsked = (asked: Asked): void => asked.decline(200, 'a page');
  await withTunnels(
    { client: '2', endpoint: '1.1' },
    async ({ proxy, opener: by }) => {
      const { status, end } = await by.open();
      assert.equal(status, 502);
      end.end();
      const { code, detail } = await proxy.decision();
      assert.equal(code, 'upstream-protocol');
      assert.match(detail, /answered 200 and not 101 to an upgrade to websocket/);
    },
    { onAsked },
  );
  await withTunnels(
    { client: '1.1', endpoint: '1.1' },
    async ({ opener: by }) => {
      const { status, end } = await by.open();
      assert.equal(status, 200);
      await end.hears('a page');
      end.end();
    },
    { onAsked },
  );
});

for (const version of ['1.1', '2'] as Version[])
  test(`${version}: an endpoint of HTTP/2 without SETTINGS_ENABLE_CONNECT_PROTOCOL is asked for nothing`, async () => {
    const asked: string[] = [];
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream, fields) => {
      asked.push(`${fields[':method']}`);
      stream.respond({ ':status': 200 });
      stream.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await withProxy(oneService([port], { service: 'protocol: http2' }), async (proxy) => {
      const by = await opener(version, proxy.port);
      const { status, end } = await by.open();
      assert.equal(status, 502);
      end.end();
      const decision = await proxy.decision();
      assert.deepEqual(
        [decision.code, decision.flags, decision.attempts.length],
        ['upstream-protocol', 'UPE', 1],
      );
      assert.match(decision.detail, /takes no extended CONNECT \(RFC 8441\) for websocket/);
      assert.deepEqual(asked, []);
      const answer = await fetch(`http://127.0.0.1:${proxy.port}/`);
      assert.equal(answer.status, 200);
      await answer.text();
      assert.deepEqual(asked, ['GET']);
      assert.equal(proxy.counter('a', 'upstreamCxTotal'), 1, 'the connection is as good as before');
      by.close();
    });
    server.close();
  });

test('an endpoint that ends the connection unasked fails the request for a tunnel', async () => {
  const backend = await rawBackend((upstream) => {
    void upstream.until((t) => t.endsWith('\r\n\r\n')).then(() => upstream.socket.end());
  });
  await withProxy(oneService([backend.port], { rule: 'retry: { attempts: 0 }' }), async (proxy) => {
    for (const version of ['1.1', '2'] as const) {
      const by = await opener(version, proxy.port);
      const { status, end } = await by.open();
      assert.equal(status, 503);
      end.end();
      by.close();
    }
    await proxy.recorded();
    assert.deepEqual(
      proxy.decisions.map(({ code }) => code),
      ['closed-before-response', 'closed-before-response'],
    );
  });
  await backend.close();
});
