/** Printing secrets by accident prints no key, on either side of the channel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { decodeSecrets, encodeSecrets, secretSet } from '../../src/config/index.ts';
import { TicketKeyRing } from '../../src/controlplane/identity/index.ts';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';

const ca = createCa({ commonName: 'root' });
const issued = issueCertificate(ca, { commonName: 'web.shop', dnsNames: ['web.shop'] });
const ticketKey = new Uint8Array(48).fill(0x5a);
const set = secretSet({
  version: 7,
  ...(await loadedSecrets({ web: issued }, { ca })),
  ticketKeys: [ticketKey],
});

function assertSilent(value: unknown): void {
  const keyLine = issued.keyPem.split('\n')[1] as string;
  const options = { depth: 9, maxStringLength: null };
  for (const text of [JSON.stringify(value) ?? '', inspect(value, options), String(value)]) {
    assert.ok(!text.includes('PRIVATE KEY'), text);
    assert.ok(!text.includes(keyLine), text);
    assert.ok(!/90,\s*90|5a 5a/.test(text), text);
  }
}

test('a secret set prints no key, nor does a copy or its encoded form', () => {
  const encoded = encodeSecrets(set);
  const there = decodeSecrets(encoded);
  for (const value of [set, there, { ...set }, structuredClone(set), encoded, { message: encoded }])
    assertSilent(value);
  for (const secret of [set, there].flatMap((s) => s.certificates)) {
    assertSilent(secret);
    assertSilent({ ...secret });
    assert.equal(secret.keyPem, issued.keyPem);
  }
});

test('what crosses to a worker is whole', () => {
  const there = decodeSecrets(encodeSecrets(set));
  assert.deepEqual(there, set);
  assert.deepEqual(there.ticketKeys[0], ticketKey);
  assert.deepEqual(there.bundles, set.bundles);
});

test('a ticket key of the wrong size is refused at once', () => {
  assert.throws(() => secretSet({ ...set, ticketKeys: [new Uint8Array(32)] }), /must have 48/);
});

test('each ticket key is published before it seals and accepted after', () => {
  let made = 0;
  const published: number[][] = [];
  const ring = new TicketKeyRing({
    generate: () => new Uint8Array(48).fill(++made),
    publish: (keys) => published.push(keys.map((key) => key[0] as number)),
  });
  ring.rotate();
  ring.rotate();
  assert.deepEqual(published, [
    [1, 2],
    [2, 3, 1],
    [3, 4, 2],
  ]);
});
