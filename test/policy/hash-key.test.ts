/** What of a request is hashed, and the cookie for a client that has none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HashKeyConfig } from '../../src/config/index.ts';
import { affinityCookie, hashKeyOf } from '../../src/dataplane/policy/index.ts';
import { HeaderList, type RequestHead } from '../../src/message/index.ts';

function head(target: string, ...fields: string[]): RequestHead {
  return {
    method: 'GET',
    target,
    authority: 'shop',
    scheme: 'http',
    version: '1.1',
    headers: HeaderList.of(...fields),
    body: 'none',
    contentLength: -1,
    expectContinue: false,
    upgrade: '',
  };
}

const cookie = (ttlMs: number | null, path: string | null = null): HashKeyConfig & { type: 'cookie' } => ({
  type: 'cookie',
  name: 'id',
  path,
  ttlMs,
});

const CASES: readonly (readonly [HashKeyConfig, RequestHead, string | null])[] = [
  [{ type: 'header', name: 'x-user' }, head('/', 'X-User', 'ann'), 'ann'],
  [{ type: 'header', name: 'x-user' }, head('/', 'X-User', 'ann', 'x-user', 'bob'), 'ann, bob'],
  [{ type: 'header', name: 'x-user' }, head('/'), null],
  [{ type: 'query', name: 'q' }, head('/a?p=1&q=2&q=3'), '2'],
  [{ type: 'query', name: 'q' }, head('/a?qq=1'), null],
  [{ type: 'query', name: 'q' }, head('/a?q'), ''],
  [{ type: 'query', name: 'q' }, head('/q'), null],
  [{ type: 'source' }, head('/'), '10.0.0.7'],
  [cookie(0), head('/', 'Cookie', 'a=1; id=x; b=2'), 'x'],
  [cookie(0), head('/', 'Cookie', 'id="x=y"'), 'x=y'],
  [cookie(0), head('/', 'Cookie', 'xid=1; id=; ID=3'), null],
  [cookie(0), head('/'), null],
];

for (const [config, request, expected] of CASES)
  test(`${JSON.stringify(config)} of ${request.target} ${request.headers.get('cookie') ?? ''}: ${expected}`, () => {
    assert.equal(hashKeyOf(config, request, '10.0.0.7'), expected);
  });

test('the cookie that is made', () => {
  assert.equal(affinityCookie(cookie(0), 'k'), 'id=k; HttpOnly');
  assert.equal(affinityCookie(cookie(90_500, '/cart'), 'k'), 'id=k; Max-Age=91; Path=/cart; HttpOnly');
});
