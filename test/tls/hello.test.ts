/** Reading a ClientHello: real ones, every cut of them, and seeded damage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalName } from '../../src/base/index.ts';
import { type Hello, readHello, sealedWith } from '../../src/dataplane/transport/tls-hello.ts';
import { helloOf } from '../kit/hello.ts';

function read(bytes: Buffer): Hello | null {
  const out: Hello = { serverName: 'stale', ticketNameAt: 99 };
  return readHello(bytes, out) ? out : null;
}

test('the server name is read from the hellos of both versions', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const bytes = await helloOf({ maxVersion, servername: 'Cart.Shop' });
    assert.deepEqual(read(bytes), { serverName: 'cart.shop', ticketNameAt: -1 });
    assert.equal(read(await helloOf({ maxVersion }))?.serverName, '');
  }
});

test('no cut of a hello is taken for whole', async () => {
  const bytes = await helloOf({ servername: 'cart.shop' });
  for (let length = 0; length < bytes.length; length++)
    assert.equal(read(bytes.subarray(0, length)), null, `${length} of ${bytes.length} bytes`);
});

test('a hello split over two records is left to OpenSSL', async () => {
  const whole = await helloOf({ servername: 'cart.shop' });
  const record = (body: Buffer) => {
    const head = Buffer.from([22, 3, 1, 0, 0]);
    head.writeUInt16BE(body.length, 3);
    return Buffer.concat([head, body]);
  };
  assert.equal(read(Buffer.concat([record(whole.subarray(5, 60)), record(whole.subarray(60))])), null);
});

test('damaged hellos neither throw nor read outside', async () => {
  const good = await helloOf({ servername: 'cart.shop' });
  const seed = Date.now() >>> 0;
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
  for (let i = 0; i < 20_000; i++) {
    const bad = Buffer.from(good.subarray(0, random(4) === 0 ? random(good.length) : good.length));
    for (let n = random(4); n >= 0 && bad.length > 0; n--) bad[random(bad.length)] = random(256);
    const out: Hello = { serverName: '', ticketNameAt: -1 };
    assert.doesNotThrow(() => readHello(bad, out), `seed ${seed} round ${i}`);
    assert.ok(out.ticketNameAt + 16 <= bad.length, `seed ${seed} round ${i}`);
  }
});

test('a ticket belongs to the key whose name it bears', () => {
  const key = new Uint8Array(48).fill(7);
  const bytes = Buffer.concat([Buffer.from('..'), Buffer.alloc(16, 7), Buffer.from('rest')]);
  assert.equal(sealedWith(key, bytes, 2), true);
  assert.equal(sealedWith(key, bytes, 1), false);
});

test('names compare without case and final dot', () => {
  assert.equal(normalName('Web.Shop.'), 'web.shop');
  assert.equal(normalName(''), '');
});
