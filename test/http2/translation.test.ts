/**
 * A message means the same on both sides of the proxy, whatever versions they speak: methods, targets, authority, fields
 * and trailers. Each case runs for every pairing, in plain and over TLS.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Field,
  fieldOf,
  fieldsOf,
  type Message,
  nameOf,
  PAIRINGS,
  type Pairing,
  type Reply,
  type Request,
  withPair,
} from './peers.ts';

interface Case {
  readonly name: string;
  readonly asked?: Request;
  readonly reply?: Partial<Reply>;
  readonly rule?: string;
  /** What the endpoint saw, and the client. */
  check(seen: Message, reply: Reply, pairing: Pairing): void;
}

const HTTP1_BODY: readonly Field[] = [['Transfer-Encoding', 'chunked']];

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'M-SEARCH'];

/** As RFC 3986 allows them, and as clients send them all the same. */
const TARGETS = [
  '/',
  '/?',
  '/?a=b',
  '/a%2Fb%20c?d=e%00f',
  "/a;b=c@d:e,f!$&'()*+~_-.",
  '/x?y?z/..//[]{}|"<>^`\\',
  `/${'long'.repeat(3_000)}`,
];

const CASES: readonly Case[] = [
  ...METHODS.map(
    (method): Case => ({
      name: `method ${method}`,
      asked: { method, ...(method === 'GET' ? {} : { fields: [['content-length', '0']] }) },
      check: (seen) => assert.equal(seen.method, method),
    }),
  ),
  ...TARGETS.map(
    (target): Case => ({
      name: `target ${target.slice(0, 40)}`,
      asked: { target },
      check: (seen) => assert.equal(seen.target, target),
    }),
  ),
  {
    name: 'a rewritten path and authority',
    asked: { target: '/old/thing?q=1', authority: 'shop' },
    rule: [
      'matches: [{ path: { type: PathPrefix, value: /old } }]',
      'filters: [{ type: URLRewrite, urlRewrite: { hostname: other.shop, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }]',
    ].join('\n'),
    check: ({ target, authority }) => assert.deepEqual([target, authority], ['/new/thing?q=1', 'other.shop']),
  },
  {
    name: 'the authority with its port',
    asked: { authority: 'Shop.example:8080' },
    check: (seen) => {
      assert.equal(seen.authority, 'Shop.example:8080');
      assert.deepEqual(fieldsOf(seen.fields, 'host'), []);
    },
  },
  {
    name: 'fields that are repeated stay apart and in order',
    asked: {
      fields: [
        ['x-a', '1'],
        ['x-b', 'between'],
        ['x-a', '2, 3'],
        ['x-a', ''],
      ],
    },
    reply: {
      fields: [
        ['x-c', '1'],
        ['vary', 'a'],
        ['x-c', '2'],
        ['vary', 'b'],
      ],
    },
    check: (seen, reply) => {
      assert.deepEqual(fieldsOf(seen.fields, 'x-a'), ['1', '2, 3', '']);
      assert.deepEqual(fieldsOf(reply.fields, 'x-c'), ['1', '2']);
      assert.deepEqual(fieldsOf(reply.fields, 'vary'), ['a', 'b']);
    },
  },
  {
    name: 'cookies of a client are one field, or crumbs of one',
    asked: { fields: [['cookie', 'a=1; b=2; c=3 d']] },
    check: (seen) => assert.equal(fieldsOf(seen.fields, 'cookie').join('; '), 'a=1; b=2; c=3 d'),
  },
  {
    name: 'each cookie that is set has its field',
    reply: {
      fields: [
        ['set-cookie', 'a=1; Path=/, x'],
        ['set-cookie', 'b=2'],
        ['set-cookie', 'a=1'],
      ],
    },
    check: (_, reply) =>
      assert.deepEqual(fieldsOf(reply.fields, 'set-cookie'), ['a=1; Path=/, x', 'b=2', 'a=1']),
  },
  {
    name: 'octets of values',
    asked: { fields: [['x-octets', 'caf\xe9 \t "\x80\xff" \\']] },
    reply: { fields: [['x-octets', '\xa0x~\t|']] },
    check: (seen, reply) => {
      assert.equal(fieldOf(seen.fields, 'x-octets'), 'caf\xe9 \t "\x80\xff" \\');
      assert.equal(fieldOf(reply.fields, 'x-octets'), '\xa0x~\t|');
    },
  },
  {
    name: 'a hundred fields less those that the proxy adds',
    asked: { fields: Array.from({ length: 80 }, (_, i): Field => [`x-field-${i}`, `value ${i}`]) },
    reply: { fields: Array.from({ length: 80 }, (_, i): Field => [`x-back-${i}`, `value ${i}`]) },
    check: (seen, reply) => {
      for (let i = 0; i < 80; i++) {
        assert.equal(fieldOf(seen.fields, `x-field-${i}`), `value ${i}`);
        assert.equal(fieldOf(reply.fields, `x-back-${i}`), `value ${i}`);
      }
    },
  },
  ...[200, 201, 206, 299, 302, 400, 404, 418, 451, 500, 599].map(
    (status): Case => ({
      name: `status ${status}`,
      reply: { status, body: Buffer.from('why') },
      check: (_, reply) => assert.deepEqual([reply.status, reply.body.toString()], [status, 'why']),
    }),
  ),
  {
    name: 'trailers of both sides',
    asked: {
      method: 'POST',
      body: Buffer.from('body'),
      trailers: [
        ['x-sum', '17'],
        ['x-more', 'a, b'],
      ],
    },
    reply: {
      body: Buffer.from('answer'),
      fields: [['trailer', 'x-out']],
      trailers: [
        ['x-out', '18'],
        ['x-empty', ''],
      ],
    },
    check: (seen, reply) => {
      assert.equal(fieldOf(seen.trailers, 'x-sum'), '17');
      assert.equal(fieldOf(seen.trailers, 'x-more'), 'a, b');
      assert.equal(fieldOf(reply.trailers, 'x-out'), '18');
      assert.deepEqual(fieldsOf(reply.trailers, 'x-empty'), ['']);
      assert.equal(fieldOf(reply.fields, 'trailer'), 'x-out');
    },
  },
  {
    name: 'trailers behind an empty body',
    asked: { method: 'POST', trailers: [['x-sum', '0']] },
    reply: { trailers: [['x-out', '0']] },
    check: (seen, reply) => {
      assert.deepEqual([seen.body.length, fieldOf(seen.trailers, 'x-sum')], [0, '0']);
      assert.deepEqual([reply.body.length, fieldOf(reply.trailers, 'x-out')], [0, '0']);
    },
  },
  {
    name: 'TE: trailers passes',
    asked: { fields: [['te', 'trailers']] },
    check: (seen) => assert.equal(fieldOf(seen.fields, 'te'), 'trailers'),
  },
  {
    name: 'what the proxy adds is there in either version',
    check: (seen, reply, { client, endpoint }) => {
      assert.match(fieldOf(seen.fields, 'x-request-id'), /^[0-9a-f-]{36}$/);
      assert.equal(fieldOf(seen.fields, 'x-forwarded-for'), '127.0.0.1');
      assert.match(fieldOf(seen.fields, 'via'), client === '2' ? /^2(\.0)? / : /^1\.1 /);
      assert.match(fieldOf(reply.fields, 'via'), endpoint === '2' ? /^2(\.0)? / : /^1\.1 /);
      assert.equal(fieldOf(reply.fields, 'x-request-id'), fieldOf(seen.fields, 'x-request-id'));
    },
  },
];

for (const pairing of PAIRINGS) {
  for (const one of CASES) {
    test(`${nameOf(pairing)}: ${one.name}`, async () => {
      await withPair(
        pairing,
        () => one.reply ?? {},
        async (caller, endpoint) => {
          const reply = await caller.ask(forClient(one.asked ?? {}, pairing));
          assert.equal(endpoint.seen.length, 1);
          if (one.reply?.status === undefined) assert.equal(reply.status, 200, reply.body.toString());
          one.check(endpoint.seen[0] as Message, reply, pairing);
        },
        one.rule === undefined ? {} : { rule: one.rule },
      );
    });
  }
}

/** Node's client of HTTP/1.1 frames a body, and sends trailers, only as it is told to. */
function forClient(asked: Request, { client }: Pairing): Request {
  const framed = asked.body !== undefined || asked.trailers !== undefined;
  return client === '1.1' && framed ? { ...asked, fields: [...(asked.fields ?? []), ...HTTP1_BODY] } : asked;
}

test('names of HTTP/1.1 fields are in lower case in HTTP/2, and the fields of one connection are left out', async () => {
  const pairing: Pairing = { client: '1.1', endpoint: '2', secure: false };
  await withPair(
    pairing,
    () => ({}),
    async (caller, endpoint) => {
      await caller.ask({
        fields: [
          ['X-MiXeD', 'Yes'],
          ['Connection', 'x-hop, keep-alive'],
          ['X-Hop', '1'],
          ['Keep-Alive', 'timeout=5'],
          ['Proxy-Connection', 'keep-alive'],
          ['TE', 'gzip, trailers'],
          ['Upgrade', 'ignored-without-connection'],
        ],
      });
      const { fields } = endpoint.seen[0] as Message;
      assert.deepEqual(fieldsOf(fields, 'x-mixed'), ['Yes']);
      assert.ok(fields.every(([name]) => name === name.toLowerCase()));
      const names = fields.map(([name]) => name);
      for (const name of ['connection', 'x-hop', 'keep-alive', 'proxy-connection', 'upgrade', 'host'])
        assert.ok(!names.includes(name), name);
      assert.equal(fieldOf(fields, 'te'), 'trailers');
    },
  );
});

test('fields of an HTTP/1.1 answer that belong to its connection do not reach a client of HTTP/2', async () => {
  await withPair(
    { client: '2', endpoint: '1.1', secure: false },
    () => ({
      fields: [
        ['X-Answer', '1'],
        ['Connection', 'x-hop'],
        ['X-Hop', '1'],
        ['Keep-Alive', 'timeout=5'],
      ],
    }),
    async (caller) => {
      const { fields } = await caller.ask({});
      assert.equal(fieldOf(fields, 'x-answer'), '1');
      assert.deepEqual(
        fields.map(([name]) => name).filter((name) => /hop|keep|connection|transfer/.test(name)),
        [],
      );
    },
  );
});

test('cookie crumbs are joined for HTTP/1.1, in order, and nothing else is', async () => {
  await withPair(
    { client: '2', endpoint: '1.1', secure: false },
    () => ({}),
    async (caller, endpoint) => {
      await caller.ask({
        fields: [
          ['cookie', 'a=1'],
          ['x-a', '1'],
          ['cookie', 'b=2; c=3'],
          ['x-a', '2'],
          ['cookie', 'd=4'],
        ],
      });
      const { fields } = endpoint.seen[0] as Message;
      assert.deepEqual(fieldsOf(fields, 'cookie'), ['a=1; b=2; c=3; d=4']);
      assert.deepEqual(fieldsOf(fields, 'x-a'), ['1', '2']);
    },
  );
});

test('trailers that HTTP/1.1 has no place for are left out, and the others pass', async () => {
  const trailers: Field[] = [
    ['x-before', '1'],
    ['content-length', '7'],
    ['host', 'evil'],
    ['authorization', 'evil'],
    ['set-cookie', 'evil=1'],
    ['x-forwarded-for', '6.6.6.6'],
    ['x-after', '2'],
  ];
  await withPair(
    { client: '2', endpoint: '1.1', secure: false },
    () => ({}),
    async (caller, endpoint) => {
      await caller.ask({ method: 'POST', body: Buffer.from('x'), trailers });
      assert.deepEqual(endpoint.seen[0]?.trailers, [
        ['x-before', '1'],
        ['x-after', '2'],
      ]);
    },
  );
  await withPair(
    { client: '1.1', endpoint: '2', secure: false },
    () => ({ body: Buffer.from('x'), trailers }),
    async (caller) => {
      const reply = await caller.ask({ fields: [['te', 'trailers']] });
      assert.deepEqual(reply.trailers, [
        ['x-before', '1'],
        ['x-after', '2'],
      ]);
    },
  );
});
