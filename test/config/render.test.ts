import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { buildSnapshot, renderConfig } from '../../src/config/index.ts';
import { draftOf, randomConfig, randomOf, slotAllocator } from './kit.ts';

test('what /config shows is a configuration file that says the same', () => {
  const slotOf = slotAllocator();
  for (let seed = 1; seed <= 60; seed++) {
    const snapshot = buildSnapshot(draftOf(JSON.stringify(randomConfig(randomOf(seed)))), 1, slotOf);
    const again = buildSnapshot(draftOf(stringify(renderConfig(snapshot))), 1, slotOf);
    const services = snapshot.services.map((service) =>
      service.dns === null ? service : { ...service, endpoints: [] },
    );
    assert.deepEqual(again, { ...snapshot, services }, `seed ${seed}`);
  }
});

test('shows where certificates lie, and neither keys nor where they lie', () => {
  const snapshot = buildSnapshot(
    draftOf(
      'listeners: [{ name: web, address: "[::1]:80", tls: { certificates: [{ certFile: a.pem, keyFile: secret.key }] } }]',
    ),
    1,
    slotAllocator(),
  );
  const text = JSON.stringify(renderConfig(snapshot));
  assert.match(text, /"certFile":"\/etc\/outboard\/a\.pem"/);
  assert.match(text, /"address":"\[::1\]:80"/);
  assert.doesNotMatch(text, /secret/);
});
