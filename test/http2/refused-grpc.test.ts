/** gRPC calls that are refused here are answered in gRPC, those too whose head is what is wrong with them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { freePort, withProxy } from '../kit/proxy.ts';
import { oneService, rawBackend } from '../kit/raw.ts';
import { FramePeer, requestFields } from './frame-peer.ts';
import { type Field, fieldOf } from './peers.ts';

const TYPE: Field = ['content-type', 'application/grpc'];
const CALL: readonly Field[] = [...requestFields('POST', '/shop.Cart/Get'), TYPE, ['te', 'trailers']];

type Parts = Parameters<typeof oneService>[1];

interface Case {
  readonly name: string;
  readonly fields?: readonly Field[];
  readonly parts?: Parts;
  readonly status: number;
  readonly code: string;
}

const CASES: readonly Case[] = [
  {
    name: 'a head that is too large',
    fields: [...CALL, ['x-large', 'a'.repeat(3_900)]],
    parts: { listener: 'limits: { maxHeaderBytes: 4096 }' },
    status: 13,
    code: 'headers-too-large',
  },
  { name: 'two hosts', fields: [...CALL, ['host', 'other']], status: 13, code: 'bad-host' },
  {
    name: 'a path that is too long',
    fields: [...requestFields('POST', `/${'a'.repeat(LIMITS.requestLineBytes)}`), TYPE],
    status: 2,
    code: 'uri-too-long',
  },
  { name: 'an expectation', fields: [...CALL, ['expect', 'wonders']], status: 2, code: 'expectation-failed' },
  {
    name: 'no route',
    parts: { rule: 'matches: [{ path: { value: /elsewhere } }]' },
    status: 12,
    code: 'no-route',
  },
  {
    name: 'no endpoint listens',
    parts: { rule: 'retry: { attempts: 0 }' },
    status: 14,
    code: 'connect-refused',
  },
  {
    name: 'access is denied by a rule',
    parts: { rule: 'filters: [{ type: DirectResponse, directResponse: { statusCode: 403, body: no } }]' },
    status: 7,
    code: '',
  },
];

for (const { name, fields = CALL, parts = {}, status, code } of CASES)
  test(`a gRPC call is refused in gRPC: ${name}`, async () => {
    const direct = parts.rule?.includes('DirectResponse') === true;
    const config = oneService([await freePort()], parts);
    const yaml = direct ? config.replace('backendRefs: [{ name: a }]', 'name: denied') : config;
    await withProxy(yaml, async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      client.headers(1, fields, { end: true });
      const answer = await client.answer(1);
      assert.deepEqual([answer.status, answer.body.length, answer.reset], [200, 0, -1]);
      assert.equal(fieldOf(answer.fields, 'content-type'), 'application/grpc');
      assert.equal(fieldOf(answer.fields, 'grpc-status'), `${status}`);
      client.destroy();
      await proxy.recorded();
      const [decision] = proxy.decisions;
      assert.equal(decision?.code ?? '', code);
      if (code !== '') assert.deepEqual([decision?.method, decision?.authority], ['POST', 'shop']);
    });
  });

test('a gRPC call that runs out of time is told so in gRPC', async () => {
  const backend = await rawBackend();
  const config = oneService([backend.port], { rule: 'timeouts: { request: 40ms }' });
  await withProxy(config, async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.headers(1, CALL, { end: true });
    const answer = await client.answer(1);
    assert.deepEqual([answer.status, fieldOf(answer.fields, 'grpc-status')], [200, '4']);
    client.destroy();
  });
  await backend.close();
});

test('another request with such a head is refused in HTTP, and recorded as what it was', async () => {
  await withProxy(oneService([await freePort()]), async (proxy) => {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, [
      ['expect', 'wonders'],
      ['accept', 'application/json'],
    ]);
    const answer = await client.answer(1);
    assert.equal(answer.status, 417);
    assert.equal(fieldOf(answer.fields, 'content-type'), 'application/json');
    client.destroy();
    const decision = await proxy.decision();
    assert.deepEqual([decision.method, decision.path, decision.authority], ['GET', '/', 'shop']);
  });
});
