/**
 * WebSocket tunnels of every pairing of versions: how one is asked for and agreed to, what comes early, and how each side
 * ends it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../kit/proxy.ts';
import { ACCEPT, type Asked, type End, KEY, opener, PAIRINGS, withTunnels } from './kit.ts';

for (const pairing of PAIRINGS) {
  const { client: asking, endpoint: asked } = pairing;
  const way = `${asking} → ${asked}`;

  test(`${way}: the handshake says what each version says, and bytes go both ways`, async () => {
    await withTunnels(pairing, async ({ proxy, endpoint, tunnel }) => {
      const { client, server, opened } = await tunnel();
      assert.equal(opened.status, asking === '1.1' ? 101 : 200);
      assert.equal(opened.fields['x-by'], 'endpoint');
      assert.equal(opened.fields['sec-websocket-accept'], asking === '1.1' ? ACCEPT : undefined);
      assert.equal(opened.fields.upgrade, asking === '1.1' ? 'websocket' : undefined);
      const fields = endpoint.asked[0]?.fields ?? {};
      assert.equal(fields['sec-websocket-version'], '13');
      if (asked === '2') {
        const { ':method': method, ':protocol': protocol, ':path': path, ':authority': authority } = fields;
        assert.deepEqual([method, protocol, path, authority], ['CONNECT', 'websocket', '/chat', 'shop']);
        assert.deepEqual([fields.upgrade, fields.connection], [undefined, undefined]);
      } else {
        assert.deepEqual([fields.upgrade, fields.host], ['websocket', 'shop']);
        const key = String(fields['sec-websocket-key']);
        if (asking === '1.1') assert.equal(key, KEY);
        else assert.equal(Buffer.from(key, 'base64').length, 16, 'a key of our own making');
      }
      client.send('to the endpoint');
      await server.hears('to the endpoint');
      server.send('to the client');
      await client.hears('to the client');
      assert.equal(proxy.active, 1);
      assert.equal(proxy.listenerCounter('web', 'downstreamCxUpgradesTotal'), 1);
      client.end();
      server.end();
      await client.untilClosed();
      await server.untilClosed();
      assert.deepEqual([client.how, server.how], ['end', 'end']);
      await until(() => proxy.active === 0, 'it is over');
      await proxy.recorded();
      assert.deepEqual(proxy.decisions, [], 'an orderly end needs no explanation');
    });
  });

  test(`${way}: the client ends its side and goes on hearing`, async () => {
    await withTunnels(pairing, async ({ proxy, tunnel }) => {
      const { client, server } = await tunnel();
      client.send('question').end();
      await server.untilEnd();
      assert.equal(server.text, 'question');
      server.send('one ');
      await client.hears('one ');
      assert.equal(proxy.active, 1);
      server.send('two').end();
      await client.untilClosed();
      assert.equal(client.text, 'one two');
      assert.deepEqual([client.how, server.how], ['end', 'end']);
    });
  });

  test(`${way}: the endpoint ends its side and goes on hearing`, async () => {
    await withTunnels(pairing, async ({ proxy, tunnel }) => {
      const { client, server } = await tunnel();
      server.send('enough').end();
      await client.untilEnd();
      assert.equal(client.text, 'enough');
      client.send('but I am ');
      await server.hears('but I am ');
      assert.equal(proxy.active, 1);
      client.send('not done').end();
      await server.untilClosed();
      assert.equal(server.text, 'but I am not done');
      await client.untilClosed();
      assert.deepEqual([client.how, server.how], ['end', 'end']);
    });
  });

  test(`${way}: a reset by the client is one for the endpoint, as DC`, async () => {
    await withTunnels(pairing, async ({ proxy, tunnel }) => {
      const { client, server } = await tunnel();
      client.send('half a');
      await server.hears('half a');
      client.reset();
      await server.untilCut();
      assert.equal(server.how, 'reset');
      const decision = await proxy.decision();
      assert.deepEqual([decision.code, decision.flags, decision.status], ['downstream-gone', 'DC', 101]);
    });
  });

  test(`${way}: a reset by the endpoint is one for the client, as UC`, async () => {
    await withTunnels(pairing, async ({ proxy, tunnel }) => {
      const { client, server } = await tunnel();
      server.send('half a');
      await client.hears('half a');
      server.reset();
      await client.untilCut();
      assert.equal(client.how, 'reset');
      const decision = await proxy.decision();
      assert.deepEqual([decision.code, decision.flags], ['closed-mid-response', 'UC']);
    });
  });

  test(`${way}: what comes right behind the request waits for the endpoint to agree, then arrives whole`, async () => {
    let agree: (() => End) | null = null;
    const onAsked = (asked: Asked): void => {
      agree = () => asked.agree();
    };
    const early = Array.from({ length: 2_000 }, (_, i) => `line ${i}\n`).join('');
    await withTunnels(
      pairing,
      async ({ proxy, opener: by }) => {
        const opening = by.open(early);
        await until(() => agree !== null, 'the endpoint is asked');
        assert.equal(proxy.active, 1);
        const server = (agree as unknown as () => End)().send('welcome');
        const { end: client } = await opening;
        await server.hears('line 1999\n');
        assert.equal(server.text, early);
        client.send('late').end();
        await server.untilEnd();
        assert.equal(server.text, `${early}late`);
        server.end();
        await client.untilClosed();
        assert.equal(client.text, 'welcome', 'so does what comes right behind the answer');
      },
      { onAsked },
    );
  });

  test(`${way}: a refusal passes as it is, with its body`, async () => {
    const onAsked = (asked: Asked): void => asked.decline(403, 'not you');
    await withTunnels(
      pairing,
      async ({ proxy, opener: by }) => {
        const { status, fields, end } = await by.open('', { 'x-who': 'nobody' });
        assert.deepEqual([status, fields['x-by']], [403, 'endpoint']);
        await end.until(() => end.text.includes('not you'), 'the body');
        // What follows may be of either protocol: decision 0004.
        end.end();
        await end.untilClosed();
        assert.equal(end.how, 'end');
        await until(() => proxy.active === 0, 'it is over');
        assert.equal(proxy.listenerCounter('web', 'downstreamCxUpgradesTotal'), 0);
        await proxy.recorded();
        assert.deepEqual(proxy.decisions, []);
      },
      { onAsked },
    );
  });
}

test('an upgrade that is refused leaves an HTTP/2 connection as it was', async () => {
  let refuse = true;
  const onAsked = (asked: Asked): void => {
    if (refuse) asked.decline(403, '');
    else asked.agree().send('welcome');
  };
  await withTunnels(
    { client: '2', endpoint: '2' },
    async ({ proxy, endpoint }) => {
      const by = await opener('2', proxy.port);
      assert.equal((await by.open()).status, 403);
      refuse = false;
      const { status, end } = await by.open();
      assert.equal(status, 200);
      await end.hears('welcome');
      assert.equal(endpoint.connections, 1);
      end.reset();
      by.close();
    },
    { onAsked },
  );
});
