/** How long a tunnel lives: its own two limits hold, and no other timeout of requests does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR } from '../../src/dataplane/codec/http2/index.ts';
import { asked, frameBackend } from '../http2/frame-peer.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { opener, PAIRINGS, withTunnels } from './kit.ts';

for (const pairing of PAIRINGS) {
  const way = `${pairing.client} → ${pairing.endpoint}`;

  test(`${way}: tunnelIdle ends one on which nothing moves, a byte either way keeps it`, async () => {
    const parts = {
      listener: 'timeouts: { header: 150ms, idle: 150ms, tunnelIdle: 500ms }',
      rule: 'timeouts: { request: 150ms, backendRequest: 150ms }',
    };
    await withTunnels(
      pairing,
      async ({ proxy, tunnel }) => {
        const { client, server } = await tunnel();
        const begin = performance.now();
        let last = begin;
        for (let turn = 0; performance.now() - begin < 700; turn++) {
          const [from, to] = turn % 2 === 0 ? [client, server] : [server, client];
          const { bytes } = to;
          last = performance.now();
          from.send('.');
          await to.until(() => to.bytes > bytes, 'a byte');
        }
        await client.untilClosed();
        assert.ok(performance.now() - last > 400, 'no sooner');
        await server.untilClosed();
        assert.deepEqual([client.how, server.how], ['reset', 'reset']);
        const decision = await proxy.decision();
        assert.deepEqual(
          [decision.code, decision.flags, decision.status, decision.limit, decision.limitValue],
          ['stream-idle', 'SI', 101, 'timeouts.tunnelIdle', 500],
        );
        assert.equal(decision.attempts[0]?.outcome, 'stream-idle');
      },
      parts,
    );
  });

  test(`${way}: tunnelIdle ends one whose one side has ended`, async () => {
    await withTunnels(
      pairing,
      async ({ proxy, tunnel }) => {
        const { client, server } = await tunnel();
        server.send('that was all').end();
        await client.untilEnd();
        await server.untilClosed();
        await client.untilCut();
        assert.equal(server.how, 'reset');
        assert.equal((await proxy.decision()).flags, 'SI');
      },
      { listener: 'timeouts: { tunnelIdle: 80ms }' },
    );
  });

  test(`${way}: tunnelMax ends one that is so old, busy or not`, async () => {
    await withTunnels(
      pairing,
      async ({ proxy, tunnel }) => {
        const { client, server } = await tunnel();
        const sending = setInterval(() => client.send('.'), 1);
        await client.untilClosed();
        clearInterval(sending);
        await server.untilClosed();
        const decision = await proxy.decision();
        assert.deepEqual(
          [decision.code, decision.flags, decision.limit, decision.limitValue],
          ['max-duration', 'DT', 'timeouts.tunnelMax', 80],
        );
        await until(
          () => proxy.counter('a', 'upstreamRqTxReset') === 1,
          'the attempt is counted as given up',
        );
      },
      { listener: 'timeouts: { tunnelMax: 80ms }' },
    );
  });
}

/** Id of SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3). */
const CONNECT_PROTOCOL = 8;

for (const version of ['1.1', '2'] as const)
  test(`${version} → 2: an endpoint that takes no last byte of a tunnel that is over does not hold it`, async () => {
    const backend = await frameBackend(() => {}, { settings: [CONNECT_PROTOCOL, 1], givesWindows: false });
    const service = 'protocol: http2\nidleTimeout: 100ms';
    await withProxy(oneService([backend.port], { service }), async (proxy) => {
      const by = await opener(version, proxy.port);
      const opening = by.open();
      const peer = await backend.peer(0);
      await asked(peer);
      peer.respond(1, 200).body(1, 'bye', true);
      const { end } = await opening;
      await end.untilEnd();
      // More than the window of a stream.
      end.send('x'.repeat(100_000)).end();
      await end.untilClosed();
      await until(() => proxy.active === 0, 'the exchange is over');
      assert.equal(await peer.resetOf(1), ERROR.cancel);
      assert.equal(peer.heard(1).body.length, 65_535);
      await proxy.recorded();
      assert.deepEqual(proxy.decisions, []);
      by.close();
    });
    backend.close();
  });
