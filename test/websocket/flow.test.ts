/** Many tunnels beside requests, and one whose reader stops: its sender is held up, nobody else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { until } from '../kit/proxy.ts';
import { type Asked, type End, PAIRINGS, withTunnels } from './kit.ts';

const MIB = 1024 * 1024;
/** More than the kernel keeps for the sockets of two hops. */
const HELD_MAX = 80 * MIB;
/** What the proxy may hold of one direction: high-water marks, windows, reads, and slack. */
const MEMORY_MAX = 12 * MIB;

/** Resolves when the value has not changed for a while. */
async function standstill(value: () => number): Promise<void> {
  let last = -1;
  let since = performance.now();
  await until(() => {
    if (value() !== last) since = performance.now();
    last = value();
    return last > 0 && performance.now() - since > 150;
  }, 'a standstill');
}

for (const pairing of PAIRINGS)
  for (const reader of ['client', 'server'] as const) {
    const who = reader === 'client' ? 'client' : 'endpoint';
    test(`${pairing.client} → ${pairing.endpoint}: the ${who} stops reading, and the other side is held up`, async () => {
      await withTunnels(pairing, async ({ proxy, tunnel }) => {
        const ends = await tunnel();
        const to = ends[reader];
        const from = reader === 'client' ? ends.server : ends.client;
        to.stream.pause();
        const before = process.memoryUsage().arrayBuffers;
        const part = Buffer.alloc(256 * 1024, 'x');
        let sent = 0;
        let enough = false;
        const pour = (): void => {
          while (!enough && sent < 2 * HELD_MAX) {
            sent += part.length;
            if (!from.stream.write(part)) return;
          }
        };
        from.stream.on('drain', pour);
        pour();
        await standstill(() => sent);
        assert.ok(sent < HELD_MAX, `it was held up after ${sent / MIB} MiB`);
        const held = process.memoryUsage().arrayBuffers - before - from.stream.writableLength;
        assert.ok(held < MEMORY_MAX, `${held / MIB} MiB are held`);
        enough = true;
        to.send('the other way is free');
        await from.hears('the other way is free');
        to.stream.resume();
        from.end();
        await to.untilEnd();
        assert.equal(to.bytes, sent);
        to.end();
        await until(() => proxy.active === 0, 'it is over');
      });
    });
  }

for (const endpoint of ['1.1', '2'] as const)
  test(`50 WebSockets on one HTTP/2 connection beside requests, to an endpoint of HTTP/${endpoint}`, async () => {
    const onAsked = (asked: Asked): void => {
      const server = asked.agree();
      server.stream.on('data', (chunk: Buffer) => server.stream.write(chunk));
      server.stream.on('end', () => server.end());
    };
    await withTunnels(
      { client: '2', endpoint },
      async ({ proxy, endpoint: behind, opener }) => {
        const opened = await Promise.all(Array.from({ length: 50 }, () => opener.open()));
        assert.ok(opened.every(({ status }) => status === 200));
        const talk = async ({ end }: { readonly end: End }, index: number): Promise<void> => {
          for (let turn = 0; turn < 20; turn++) {
            const said = `${index}:${turn} `.repeat(turn * 10 + 1);
            end.text = '';
            end.send(said);
            await end.until(() => end.text.length >= said.length, 'the echo');
            assert.equal(end.text, said);
          }
        };
        const ask = async (path: string): Promise<void> => {
          const stream = (opener.session as NonNullable<typeof opener.session>).request({ ':path': path });
          stream.setEncoding('latin1');
          let body = '';
          stream.on('data', (chunk: string) => {
            body += chunk;
          });
          await once(stream, 'end');
          assert.equal(body, path);
        };
        const asking = async (): Promise<void> => {
          for (let i = 0; i < 50; i++) await ask(`/${i}`);
        };
        await Promise.all([...opened.map(talk), asking(), asking()]);
        assert.equal(proxy.active, 50);
        assert.equal(proxy.connections, 1);
        assert.equal(behind.requests.length, 100);
        assert.equal(proxy.listenerCounter('web', 'downstreamCxUpgradesTotal'), 50);
        for (const { end } of opened) end.end();
        await Promise.all(opened.map(({ end }) => end.untilClosed()));
        assert.ok(opened.every(({ end }) => end.how === 'end'));
        await until(() => proxy.active === 0, 'all are over');
      },
      { onAsked },
    );
  });
