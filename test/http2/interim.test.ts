/** Interim answers (1xx) between the versions: passed on in order where the client can take them, and never counted as the answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { ERROR } from '../../src/dataplane/codec/http2/index.ts';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { asked, FramePeer, frameBackend } from './frame-peer.ts';
import { type Field, fieldOf, type Version } from './peers.ts';

type Interim = readonly [status: number, fields: readonly Field[]];

/** An endpoint that gives these interim answers, waits for the body if `bodyFirst`, and answers 200. */
async function endpointOf(version: Version, interims: readonly Interim[], bodyFirst: boolean) {
  if (version === '2') {
    const backend = await frameBackend((peer) => {
      void (async () => {
        const { stream } = await asked(peer);
        for (const [status, fields] of interims) peer.respond(stream, status, fields);
        if (bodyFirst) await peer.until(() => peer.heard(stream).ended, 'the body');
        peer.respond(stream, 200, [['x-final', '1']], true);
      })();
    });
    return {
      backend,
      service: 'protocol: http2',
      expectation: async () => fieldOf((await asked(await backend.peer(0))).fields, 'expect'),
    };
  }
  const backend = await rawBackend((upstream) => {
    void (async () => {
      await upstream.until((t) => t.includes('\r\n\r\n'));
      for (const [status, fields] of interims)
        upstream.send(`HTTP/1.1 ${status} Soon\r\n${fields.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
      if (bodyFirst) await upstream.until((t) => t.includes('body'));
      upstream.send('HTTP/1.1 200 OK\r\nx-final: 1\r\nContent-Length: 0\r\n\r\n');
    })();
  });
  return {
    backend,
    service: '',
    expectation: async () => /\r\nexpect: ([^\r]*)/i.exec((await backend.connection(0)).text)?.[1] ?? '',
  };
}

/** Asks once and returns the statuses that came, with the fields of the interim answers. */
async function statuses(
  proxy: TestProxy,
  version: Version,
  fields: readonly Field[],
  bodyAfter: number,
): Promise<[number, string][]> {
  if (version === '2') {
    const client = await FramePeer.connect(proxy.port);
    client.request(1, fields, { method: 'POST', end: bodyAfter < 0 });
    if (bodyAfter > 0)
      await client.frame('headers', (frame) => fieldOf(frame.fields, ':status') === String(bodyAfter));
    if (bodyAfter >= 0) client.body(1, 'body', true);
    const { interim, status, ended } = await client.answer(1);
    assert.ok(ended);
    client.destroy();
    return [
      ...interim.map((frame): [number, string] => [
        Number(fieldOf(frame.fields, ':status')),
        fieldOf(frame.fields, 'link'),
      ]),
      [status, ''],
    ];
  }
  const client = await RawClient.connect(proxy.port);
  const length = bodyAfter < 0 ? 0 : 4;
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  client.send(`POST / HTTP/1.1\r\nHost: x\r\n${lines}Content-Length: ${length}\r\n\r\n`);
  if (bodyAfter > 0) await client.until((t) => t.startsWith(`HTTP/1.1 ${bodyAfter} `));
  if (bodyAfter >= 0) client.send('body');
  const text = await client.until((t) => /x-final: 1[\s\S]*\r\n\r\n$/.test(t));
  client.destroy();
  return text
    .split('HTTP/1.1 ')
    .slice(1)
    .map((one): [number, string] => [Number(one.slice(0, 3)), /\r\nlink: ([^\r]*)/i.exec(one)?.[1] ?? '']);
}

const EXPECT: Field = ['expect', '100-continue'];

for (const [from, to] of [
  ['1.1', '2'],
  ['2', '1.1'],
  ['2', '2'],
] as const) {
  const run = async (
    interims: readonly Interim[],
    fields: readonly Field[],
    bodyAfter: number,
    check: (seen: [number, string][], expectation: string) => void,
  ): Promise<void> => {
    const { backend, service, expectation } = await endpointOf(to, interims, bodyAfter >= 0);
    await withProxy(oneService([backend.port], { service }), async (proxy) => {
      check(await statuses(proxy, from, fields, bodyAfter), await expectation());
    });
    await backend.close();
  };

  test(`${from} → ${to}: 100-continue is the endpoint's to say; the body follows it`, () =>
    run([[100, []]], [EXPECT], 100, (seen, expectation) => {
      assert.deepEqual(seen, [
        [100, ''],
        [200, ''],
      ]);
      assert.equal(expectation, '100-continue');
    }));

  test(`${from} → ${to}: 103 passes with its fields, and the final answer after it`, () =>
    run([[103, [['link', '</a.css>; rel=preload']]]], [], -1, (seen) =>
      assert.deepEqual(seen, [
        [103, '</a.css>; rel=preload'],
        [200, ''],
      ]),
    ));

  test(`${from} → ${to}: several pass in order, 102 and unknown ones too`, () =>
    run(
      [
        [102, []],
        [103, [['link', '</a>']]],
        [103, [['link', '</b>']]],
        [199, []],
      ],
      [],
      -1,
      (seen) =>
        assert.deepEqual(seen, [
          [102, ''],
          [103, '</a>'],
          [103, '</b>'],
          [199, ''],
          [200, ''],
        ]),
    ));

  test(`${from} → ${to}: 100 between others, for a client that waits`, () =>
    run(
      [
        [103, [['link', '</a>']]],
        [100, []],
        [103, [['link', '</b>']]],
      ],
      [EXPECT],
      // HTTP/1.1 clients of this test look for the first status that comes.
      from === '2' ? 100 : 103,
      (seen) =>
        assert.deepEqual(
          seen.map(([status]) => status).filter((status, at, all) => status !== 103 || all[at - 1] !== 103),
          [103, 100, 103, 200],
        ),
    ));
}

test('a client of HTTP/2 that did not ask for 100 is not given one; HTTP/1.1 clients ignore it', async () => {
  for (const to of ['1.1', '2'] as const) {
    const { backend, service } = await endpointOf(
      to,
      [
        [100, []],
        [103, [['link', '</a>']]],
      ],
      true,
    );
    await withProxy(oneService([backend.port], { service }), async (proxy) => {
      assert.deepEqual(
        (await statuses(proxy, '2', [], 0)).map(([status]) => status),
        [103, 200],
      );
    });
    await backend.close();
  }
});

test('an endpoint that gives too many interim answers breaks the protocol; its connection lives', async () => {
  const backend = await frameBackend((peer) => {
    void (async () => {
      const first = await asked(peer);
      for (let i = 0; i <= LIMITS.informationalResponses; i++)
        peer.respond(first.stream, 103, [['link', '</a>']]);
      const second = await asked(peer, 1);
      peer.respond(second.stream, 200, [], true);
    })();
  });
  await withProxy(
    oneService([backend.port], { service: 'protocol: http2', rule: 'retry: { attempts: 0 }' }),
    async (proxy) => {
      const client = await FramePeer.connect(proxy.port);
      const { status, interim } = await client.request(1).answer(1);
      assert.deepEqual([status, interim.length], [502, LIMITS.informationalResponses]);
      assert.match((await proxy.decision()).detail, /too many interim answers/);
      assert.equal((await (await backend.peer(0)).frame('reset')).code, ERROR.protocolError);
      assert.equal((await client.request(3).answer(3)).status, 200);
      assert.equal(backend.peers.length, 1);
      client.destroy();
    },
  );
  backend.close();
});

test('an interim answer that ends the stream, and :status 101, are malformed', async () => {
  for (const [status, end] of [
    [103, true],
    [100, true],
    [101, false],
  ] as const) {
    const backend = await frameBackend((peer) => {
      void asked(peer).then(({ stream }) => peer.respond(stream, status, [], end));
    });
    await withProxy(
      oneService([backend.port], { service: 'protocol: http2', rule: 'retry: { attempts: 0 }' }),
      async (proxy) => {
        const client = await FramePeer.connect(proxy.port);
        assert.equal((await client.request(1).answer(1)).status, 502);
        assert.equal((await proxy.decision()).code, 'upstream-protocol');
        client.destroy();
      },
    );
    backend.close();
  }
});
