/** What a request counts as, and what answers say of a bucket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isAddableField,
  rateLimitField,
  rateLimitKeyOf,
  rateLimitPolicyField,
  wholeSeconds,
} from '../../src/dataplane/policy/index.ts';
import type { ConnectionFacts } from '../../src/message/index.ts';
import { request } from '../router/kit.ts';

const FACTS: ConnectionFacts = {
  listener: 'web',
  remoteAddress: '::ffff:10.0.0.7',
  remotePort: 1,
  localAddress: '127.0.0.1',
  caller: -1,
  localPort: 2,
  tls: null,
};

test('a workload is the URI of its verified certificate, else the address of its connection', () => {
  const head = request('/', 'shop');
  const of = (facts: ConnectionFacts): string => rateLimitKeyOf({ type: 'workload' }, head, '9.9.9.9', facts);
  assert.equal(of(FACTS), '10.0.0.7');
  const uri = 'spiffe://cluster.local/ns/shop/sa/cart';
  const peer = { subject: '', uriSans: [uri], dnsSans: [], serial: '', fingerprint256: '' };
  const tls = { protocol: 'TLSv1.3', cipher: '', sni: '', alpn: '', resumed: false };
  assert.equal(of({ ...FACTS, tls: { ...tls, peer } }), uri);
  assert.equal(of({ ...FACTS, tls: { ...tls, peer: { ...peer, uriSans: [] } } }), '10.0.0.7');
  assert.equal(of({ ...FACTS, tls: { ...tls, peer: null } }), '10.0.0.7');
});

test('a source is the client, in one spelling', () => {
  const head = request('/', 'shop');
  assert.equal(rateLimitKeyOf({ type: 'source' }, head, '::ffff:9.9.9.9', FACTS), '9.9.9.9');
  assert.equal(rateLimitKeyOf({ type: 'header', name: 'x-user' }, head, '9.9.9.9', FACTS), '');
});

test('fields are structured, and seconds are rounded up', () => {
  assert.equal(rateLimitPolicyField('per-user', 5, 30_000), '"per-user";q=5;w=30');
  assert.equal(rateLimitField('per-user', 4, 1), '"per-user";r=4;t=1');
  assert.equal(rateLimitField('per-user', 5, 0), '"per-user";r=5;t=0');
  assert.deepEqual([0, 0.1, 1_000, 1_000.1].map(wholeSeconds), [0, 1, 1, 2]);
});

test('what frames or routes a message is no field for others to add', () => {
  for (const name of ['x-a', 'Set-Cookie', 'retry-after', "!#$%&'*+-.^_`|~"])
    assert.ok(isAddableField(name), name);
  for (const name of [
    'Content-Length',
    'transfer-encoding',
    'HOST',
    'connection',
    '',
    'a b',
    'a\n',
    ':path',
    'é',
  ])
    assert.ok(!isAddableField(name), name);
});
