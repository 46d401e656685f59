/** Which addresses may be listened on, on real sockets. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ListenerConfig } from '../../src/config/index.ts';
import { Addresses } from '../../src/supervisor/addresses.ts';

const listener = (name: string, host: string, port: number): ListenerConfig =>
  ({ name, host, port }) as ListenerConfig;

function listen(t: TestContext, host: string, port: number, reusePort: boolean): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen({ host, port, reusePort }, () => resolve(server));
    t.after(() => server.close());
  });
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

test('port 0 becomes one real port that workers can share, and keeps it', async (t) => {
  const addresses = new Addresses();
  const wanted = [listener('web', '127.0.0.1', 0), listener('other', '127.0.0.1', 0)];
  const claim = await addresses.claim(wanted);
  const [web, other] = claim.listeners;
  assert.notEqual(web?.port, other?.port);
  for (let worker = 0; worker < 3; worker++) await listen(t, '127.0.0.1', web?.port ?? 0, true);
  await claim.commit();
  const again = await addresses.claim([...wanted].reverse());
  assert.deepEqual(again.faults, []);
  assert.deepEqual(
    again.listeners.map(({ port }) => port),
    [other?.port, web?.port],
  );
  await again.abandon();
});

test('a port that a claim got for port 0 is forgotten with the claim, or with the listener', async (t) => {
  const addresses = new Addresses();
  const claim = await addresses.claim([listener('web', '127.0.0.1', 0)]);
  await claim.abandon();
  const taken = await listen(t, '127.0.0.1', claim.listeners[0]?.port ?? 0, false);
  const next = await addresses.claim([listener('web', '127.0.0.1', 0)]);
  assert.notEqual(next.listeners[0]?.port, portOf(taken));
  await next.commit();
  await (await addresses.claim([])).commit();
  await listen(t, '127.0.0.1', next.listeners[0]?.port ?? 0, false);
  const last = await addresses.claim([listener('web', '127.0.0.1', 0)]);
  assert.notEqual(last.listeners[0]?.port, next.listeners[0]?.port);
  await last.abandon();
});

test('an address of another process is refused, also when it would let us share it', async (t) => {
  for (const reusePort of [false, true]) {
    const port = portOf(await listen(t, '127.0.0.1', 0, reusePort));
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      const { faults } = await new Addresses().claim([listener('web', host, port)]);
      assert.deepEqual(
        faults.map(({ listener, code }) => [listener, code]),
        [['web', 'EADDRINUSE']],
      );
    }
  }
});

test('our own addresses are no obstacle: unchanged, renamed, or wider and narrower', async (t) => {
  const addresses = new Addresses();
  const claim = await addresses.claim([listener('web', '127.0.0.1', 0)]);
  const port = claim.listeners[0]?.port ?? 0;
  await listen(t, '127.0.0.1', port, true);
  await claim.commit();
  for (const wanted of [
    listener('web', '127.0.0.1', port),
    listener('renamed', '127.0.0.1', port),
    listener('web', '0.0.0.0', port),
  ]) {
    const { faults, abandon } = await addresses.claim([wanted]);
    assert.deepEqual(faults, []);
    await abandon();
  }
});

test('an address that this machine has not is told with its cure', async () => {
  const { faults } = await new Addresses().claim([listener('web', '192.0.2.1', 8080)]);
  assert.match(
    faults[0]?.message ?? '',
    /^listener web: cannot listen on 192\.0\.2\.1:8080 \(EADDRNOTAVAIL\); this machine has no such address/,
  );
});
