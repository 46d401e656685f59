/** Tunnels know no end of their own: a drain gives them its time, then cuts them off, and says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type TestProxy, until } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { type Asked, type End, PAIRINGS, withTunnels } from './kit.ts';

async function codes(proxy: TestProxy): Promise<readonly string[]> {
  await proxy.recorded();
  return proxy.decisions.map(({ code, flags, status }) => `${code} ${flags} ${status}`);
}

for (const pairing of PAIRINGS) {
  const way = `${pairing.client} → ${pairing.endpoint}`;

  test(`${way}: a drain leaves tunnels alone until its time is over, then cuts off and counts each`, async () => {
    await withTunnels(pairing, async ({ proxy, tunnel }) => {
      const [first, second, ended] = [await tunnel(), await tunnel(), await tunnel()];
      const drained = proxy.drain(1_200);
      ended.client.end();
      ended.server.end();
      await ended.client.untilClosed();
      // After what a drain gives connections that are idle.
      await sleep(500);
      for (const { client, server } of [first, second]) {
        client.send('still here');
        await server.hears('still here');
      }
      assert.equal(await drained, 2);
      for (const { client, server } of [first, second]) {
        await client.untilClosed();
        await server.untilClosed();
        assert.equal(server.how, 'reset');
      }
      assert.equal(ended.client.how, 'end');
      assert.deepEqual(await codes(proxy), ['shutting-down UH 101', 'shutting-down UH 101']);
    });
  });

  test(`${way}: a listener that is removed gives its tunnels the same time, also those agreed to later`, async () => {
    const ends: End[] = [];
    let late: Asked | null = null;
    const onAsked = (asked: Asked): void => {
      if (ends.length === 0) ends.push(asked.agree());
      else late = asked;
    };
    const drainTimeout = '\ndrainTimeout: 300ms\n';
    await withTunnels(
      pairing,
      async ({ proxy, endpoint, opener }) => {
        const { end: client } = await opener.open();
        const opening = opener.open();
        await until(() => late !== null, 'another is asked for');
        const protocol = `protocol: ${pairing.endpoint === '2' ? 'http2' : 'http'}`;
        const elsewhere = oneService([endpoint.port], { service: protocol }).replace(
          ':0',
          `:${await freePort()}`,
        );
        const begin = performance.now();
        await proxy.reload(elsewhere + drainTimeout);
        const server = ends[0] as End;
        client.send('still here');
        await server.hears('still here');
        await client.untilClosed();
        assert.ok(performance.now() - begin > 200, 'no sooner');
        await server.untilClosed();
        assert.equal(server.how, 'reset');
        assert.equal(proxy.active, 1, 'a request is left to its own timeouts');
        const second = (late as unknown as Asked).agree();
        const { end } = await opening;
        await end.untilClosed();
        await second.untilClosed();
        assert.deepEqual(await codes(proxy), ['shutting-down UH 101', 'shutting-down UH 101']);
      },
      { onAsked, more: drainTimeout },
    );
  });
}
