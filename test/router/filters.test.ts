import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterConfig, HeaderModifier, PathModifier } from '../../src/config/index.ts';
import {
  answerOf,
  applyHeaderEdit,
  applyRequestEdit,
  type CompiledRule,
  compileRouter,
} from '../../src/dataplane/router/index.ts';
import { HeaderList, type RequestHead } from '../../src/message/index.ts';
import { prepared, type RuleSketch, request, route, snapshot } from './kit.ts';

function matched(head: RequestHead, ...rules: RuleSketch[]): CompiledRule<string> {
  const router = compileRouter(snapshot([route({ name: 'r', rules })]), null, ({ name }) => `for ${name}`);
  const found = router.match('web', head, prepared(head.target));
  assert.ok(found);
  return found;
}

function modifier(changes: Partial<HeaderModifier>): HeaderModifier {
  return { set: [], add: [], remove: [], ...changes };
}

function rewrite(path: PathModifier | null, hostname: string | null = null): FilterConfig {
  return { type: 'URLRewrite', hostname, path };
}

function redirect(changes: Partial<Extract<FilterConfig, { type: 'RequestRedirect' }>>): FilterConfig {
  return {
    type: 'RequestRedirect',
    scheme: null,
    hostname: null,
    port: null,
    path: null,
    statusCode: 302,
    ...changes,
  };
}

/** Gateway API's table for ReplacePrefixMatch, and what follows from it. */
const PREFIX_TABLE = [
  ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
  ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
  ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
  ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
  ['/foo', '/foo', '/xyz', '/xyz'],
  ['/foo/', '/foo', '/xyz', '/xyz/'],
  ['/foo/bar', '/foo', '', '/bar'],
  ['/foo/', '/foo', '', '/'],
  ['/foo', '/foo', '', '/'],
  ['/foo/', '/foo', '/', '/'],
  ['/foo', '/foo', '/', '/'],
  ['/bar', '/', '/xyz', '/xyz/bar'],
  ['/', '/', '/xyz', '/xyz/'],
  ['/foo/bar?q=/foo', '/foo', '/xyz', '/xyz/bar?q=/foo'],
] as const;

for (const [from, prefix, value, to] of PREFIX_TABLE) {
  test(`ReplacePrefixMatch of ${prefix} by "${value}" makes ${from} into ${to}`, () => {
    const head = request(from, 'shop');
    const rule = matched(head, {
      name: 'a',
      matches: [{ path: prefix }],
      filters: [rewrite({ type: 'ReplacePrefixMatch', value })],
    });
    assert.ok(rule.request);
    applyRequestEdit(rule.request, head, prepared(head.target));
    assert.equal(head.target, to);
    assert.equal(head.authority, 'shop');
  });
}

test('ReplacePrefixMatch replaces the prefix that matched, whichever of the rule it is', () => {
  for (const [from, to] of [
    ['/a/x', '/n/x'],
    ['/long/b/x', '/n/x'],
    ['/exact', '/exact'],
  ] as const) {
    const head = request(from, 'shop');
    const rule = matched(head, {
      name: 'r',
      matches: [{ path: '/a' }, { path: '/long/b' }, { path: '= /exact' }],
      filters: [rewrite({ type: 'ReplacePrefixMatch', value: '/n' })],
    });
    if (rule.request) applyRequestEdit(rule.request, head, prepared(from));
    assert.equal(head.target, to);
  }
});

test('ReplaceFullPath keeps the query, and the host is rewritten without its port', () => {
  const head = request('/a/b?x=1', 'shop:8080');
  const rule = matched(head, {
    name: 'r',
    filters: [rewrite({ type: 'ReplaceFullPath', value: '/new' }, 'cart.internal')],
  });
  assert.ok(rule.request);
  applyRequestEdit(rule.request, head, prepared(head.target));
  assert.equal(head.target, '/new?x=1');
  assert.equal(head.authority, 'cart.internal');
});

test('rewriting leaves `OPTIONS *` alone', () => {
  const head = request('OPTIONS *', 'shop');
  const rule = matched(head, { name: 'r', filters: [rewrite({ type: 'ReplaceFullPath', value: '/new' })] });
  assert.ok(rule.request);
  applyRequestEdit(rule.request, head, prepared('*'));
  assert.equal(head.target, '*');
});

test('header modifiers set, add and remove, in any case, keeping the configured case', () => {
  const head = request('/', 'shop', 'X-Old: 1', 'x-old: 2', 'My-Header: foo', 'Gone: 1', 'Stays: 1');
  const rule = matched(head, {
    name: 'r',
    filters: [
      {
        type: 'RequestHeaderModifier',
        ...modifier({
          set: [
            { name: 'X-OLD', value: 'new' },
            { name: 'X-New', value: 'né' },
          ],
          add: [{ name: 'my-header', value: 'bar,baz' }],
          remove: ['gone', 'absent'],
        }),
      },
    ],
  });
  assert.ok(rule.request);
  applyRequestEdit(rule.request, head, prepared('/'));
  assert.equal(
    head.headers.toText(),
    'My-Header: foo\r\nStays: 1\r\nX-OLD: new\r\nX-New: n\xc3\xa9\r\nmy-header: bar,baz\r\n',
  );
  assert.equal(head.target, '/');
});

test('response modifiers of rule and backend', () => {
  const head = request('/', 'shop');
  const rule = matched(head, {
    name: 'r',
    filters: [{ type: 'ResponseHeaderModifier', ...modifier({ set: [{ name: 'x-by', value: 'rule' }] }) }],
    backends: [
      {
        service: 's',
        subset: null,
        weight: 1,
        filters: [
          { type: 'ResponseHeaderModifier', ...modifier({ remove: ['server'] }) },
          rewrite(null, 'b.internal'),
        ],
      },
    ],
  });
  const backend = rule.backends.pick(0.5);
  assert.ok(backend?.response && rule.response && backend.request);
  const headers = HeaderList.of('Server', 'nginx', 'X-By', 'app');
  applyHeaderEdit(backend.response, headers);
  applyHeaderEdit(rule.response, headers);
  assert.equal(headers.toText(), 'x-by: rule\r\n');
  applyRequestEdit(backend.request, head, prepared('/'));
  assert.equal(head.authority, 'b.internal');
  assert.equal(rule.attached, 'for r');
  assert.equal(rule.route, 'r');
});

/** Filter, scheme of the request, Host, listener port, Location. */
const REDIRECTS: readonly (readonly [
  Parameters<typeof redirect>[0],
  'http' | 'https',
  string,
  number,
  string,
])[] = [
  [{}, 'http', 'shop', 80, 'http://shop/a/b?q=1'],
  [{}, 'http', 'shop:8080', 8080, 'http://shop:8080/a/b?q=1'],
  [{}, 'http', 'shop', 8080, 'http://shop:8080/a/b?q=1'],
  [{}, 'https', 'shop', 443, 'https://shop/a/b?q=1'],
  [{}, 'https', 'shop', 8443, 'https://shop:8443/a/b?q=1'],
  [{ scheme: 'https' }, 'http', 'shop:8080', 8080, 'https://shop/a/b?q=1'],
  [{ scheme: 'http' }, 'https', 'shop:8443', 8443, 'http://shop/a/b?q=1'],
  [{ scheme: 'https', port: 8443 }, 'http', 'shop', 80, 'https://shop:8443/a/b?q=1'],
  [{ scheme: 'https', port: 443 }, 'http', 'shop', 80, 'https://shop/a/b?q=1'],
  [{ port: 80 }, 'http', 'shop:8080', 8080, 'http://shop/a/b?q=1'],
  [{ port: 80 }, 'https', 'shop', 443, 'https://shop:80/a/b?q=1'],
  [{ hostname: 'other.shop' }, 'http', 'shop:8080', 80, 'http://other.shop/a/b?q=1'],
  [{}, 'http', '[::1]:8080', 8080, 'http://[::1]:8080/a/b?q=1'],
  [{}, 'http', '[::1]', 80, 'http://[::1]/a/b?q=1'],
  [{}, 'http', '', 80, '/a/b?q=1'],
  [{ path: { type: 'ReplaceFullPath', value: '/n' } }, 'http', 'shop', 80, 'http://shop/n?q=1'],
  [{ path: { type: 'ReplacePrefixMatch', value: '/n' } }, 'http', 'shop', 80, 'http://shop/n/b?q=1'],
];

for (const [changes, scheme, host, port, location] of REDIRECTS) {
  test(`redirect ${JSON.stringify(changes)} of ${scheme}://${host} on port ${port} to ${location}`, () => {
    const head = { ...request('/a/b?q=1', host), scheme };
    const rule = matched(head, { name: 'r', matches: [{ path: '/a' }], filters: [redirect(changes)] });
    assert.ok(rule.answer);
    const answer = answerOf(rule.answer, head, prepared(head.target), port);
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.get('location'), location);
    assert.equal(answer.body.length, 0);
  });
}

test('a relative redirect never names another host', () => {
  const head = request('//evil.example/x', '');
  const rule = matched(head, { name: 'r', filters: [redirect({})] });
  assert.ok(rule.answer);
  assert.equal(
    answerOf(rule.answer, head, prepared(head.target), 80).headers.get('location'),
    '/evil.example/x',
  );
});

test('a direct response has its status, type and body', () => {
  const head = request('/', 'shop');
  const rule = matched(head, {
    name: 'r',
    filters: [
      { type: 'DirectResponse', statusCode: 418, body: 'é', contentType: 'text/plain; charset=utf-8' },
    ],
  });
  assert.ok(rule.answer);
  const answer = answerOf(rule.answer, head, prepared('/'), 80);
  assert.equal(answer.status, 418);
  assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(answer.body.toString(), 'é');
});

test('backends get their share by weight, and weight 0 gets none', () => {
  const weights = [
    ['a', 90],
    ['off', 0],
    ['b', 9],
    ['c', 1],
  ] as const;
  const rule = matched(request('/', 'shop'), {
    name: 'r',
    backends: weights.map(([service, weight]) => ({ service, subset: null, weight, filters: [] })),
  });
  const counts = new Map<string, number>();
  const steps = 10_000;
  for (let i = 0; i < steps; i++) {
    const service = rule.backends.pick((i + 0.5) / steps)?.service ?? '';
    counts.set(service, (counts.get(service) ?? 0) + 1);
  }
  assert.deepEqual(Object.fromEntries(counts), { a: 9_000, b: 900, c: 100 });
  assert.equal(rule.backends.pick(0)?.service, 'a');
  assert.equal(rule.backends.pick(1 - Number.EPSILON / 2)?.service, 'c');
});

test('no backend, or only weights of 0, is none', () => {
  const head = request('/', 'shop');
  assert.equal(matched(head, { name: 'r', backends: [] }).backends.pick(0), null);
  const off = [{ service: 'a', subset: null, weight: 0, filters: [] }];
  assert.equal(matched(head, { name: 'r', backends: off }).backends.pick(0), null);
});
