/** Which origins are allowed, and what preflights and answers are told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CorsConfig } from '../../src/config/index.ts';
import { compileCors, judgeCors, writeCors } from '../../src/dataplane/policy/index.ts';
import { HeaderList, type RequestHead } from '../../src/message/index.ts';

function config(parts: Partial<CorsConfig>): CorsConfig {
  return {
    allowOrigins: [],
    allowCredentials: false,
    allowMethods: [],
    allowHeaders: [],
    exposeHeaders: [],
    maxAgeSeconds: 5,
    ...parts,
  };
}

function head(method: string, ...fields: string[]): RequestHead {
  return {
    method,
    target: '/',
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

/** Access-Control-Allow-Origin for a page of this origin. */
const allowed = (allowOrigins: string[], origin: string, parts: Partial<CorsConfig> = {}): string =>
  judgeCors(compileCors(config({ allowOrigins, ...parts })), head('GET', 'origin', origin)).allowOrigin;

test('an origin is allowed by its name, or by a wildcard for what is in front of it', () => {
  const list = [
    'https://shop.example',
    'http://shop.example:8080',
    'https://*.shop.example',
    'http://*:81',
    'http://[::1]:9',
  ];
  for (const origin of [
    'https://shop.example',
    'http://shop.example:8080',
    'https://a.shop.example',
    'https://a.b.shop.example',
    'http://anything.at.all:81',
    'http://[::1]:81',
    'http://[::1]:9',
  ])
    assert.equal(allowed(list, origin), origin);
  for (const origin of [
    'http://shop.example',
    'https://shop.example:8443',
    'https://a.shop.example:8443',
    'https://evilshop.example',
    'https://.shop.example.evil',
    'https://shop.example.evil',
    'https://evil/.shop.example',
    'https://evil:1@a.shop.example',
    'https://.shop.example',
    'http://anything.at.all',
    'http://anything.at.all:8181',
    'null',
    'https://shop.example, https://shop.example',
    'HTTPS://SHOP.EXAMPLE',
  ])
    assert.equal(allowed(list, origin), '', origin);
});

test('a wildcard alone: every origin, said by name where there are credentials', () => {
  assert.equal(allowed(['*'], 'https://any.example'), '*');
  assert.equal(allowed(['*'], 'null'), '*');
  assert.equal(allowed(['*'], 'https://any.example', { allowCredentials: true }), 'https://any.example');
  assert.equal(allowed(['*'], 'null', { allowCredentials: true }), '', 'every sandboxed page is the same');
});

function preflight(parts: Partial<CorsConfig>, ...fields: string[]): string[] | null {
  const policy = compileCors(config({ allowOrigins: ['https://a.example'], ...parts }));
  const asked = head('OPTIONS', 'origin', 'https://a.example', ...fields);
  const answer = judgeCors(policy, asked);
  if (answer.reply === null) return null;
  writeCors(answer, answer.reply.headers);
  const lines = answer.reply.headers.toText().trimEnd().split('\r\n');
  return [`${answer.reply.status}`, ...lines.filter((line) => line !== '').sort()];
}

const ASKS = ['access-control-request-method', 'PUT', 'access-control-request-headers', 'x-a, x-b'];

test('a preflight is told what is allowed, and only what is', () => {
  assert.deepEqual(preflight({}, ...ASKS), [
    '200',
    'access-control-allow-origin: https://a.example',
    'access-control-max-age: 5',
    'vary: Origin',
  ]);
  const lists = {
    allowMethods: ['PUT', 'DELETE'],
    allowHeaders: ['X-A'],
    exposeHeaders: ['x-c'],
    maxAgeSeconds: 600,
  };
  assert.deepEqual(preflight({ ...lists, allowCredentials: true }, ...ASKS), [
    '200',
    'access-control-allow-credentials: true',
    'access-control-allow-headers: X-A',
    'access-control-allow-methods: PUT, DELETE',
    'access-control-allow-origin: https://a.example',
    'access-control-max-age: 600',
    'vary: Origin',
  ]);
  assert.deepEqual(preflight({ allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'] }, ...ASKS), [
    '200',
    'access-control-allow-headers: *',
    'access-control-allow-methods: *',
    'access-control-allow-origin: *',
    'access-control-max-age: 5',
  ]);
  assert.deepEqual(preflight({ allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true }, ...ASKS), [
    '200',
    'access-control-allow-credentials: true',
    'access-control-allow-headers: x-a, x-b',
    'access-control-allow-methods: PUT',
    'access-control-allow-origin: https://a.example',
    'access-control-max-age: 5',
    'vary: Origin',
  ]);
  assert.deepEqual(preflight({ allowOrigins: ['https://b.example'], ...lists }, ...ASKS), [
    '200',
    'vary: Origin',
  ]);
  assert.equal(preflight({}), null, 'OPTIONS that asks for no method is a request like any other');
});

test('an answer says whether its page may read it, whatever the endpoint said', () => {
  const policy = compileCors(config({ allowOrigins: ['https://a.example'], exposeHeaders: ['x-a', 'x-b'] }));
  const told = (origin: string | null, ...answer: string[]): string => {
    const headers = HeaderList.of(...answer);
    writeCors(judgeCors(policy, head('GET', ...(origin === null ? [] : ['origin', origin]))), headers);
    return headers.toText();
  };
  const own = ['access-control-allow-origin', '*', 'access-control-allow-credentials', 'true'];
  assert.equal(
    told('https://a.example', ...own),
    'vary: Origin\r\naccess-control-allow-origin: https://a.example\r\naccess-control-expose-headers: x-a, x-b\r\n',
  );
  assert.equal(told(null, 'vary', 'accept'), 'vary: accept, Origin\r\n');
  assert.equal(told(null, 'Vary', 'accept,ORIGIN'), 'Vary: accept,ORIGIN\r\n');
  assert.equal(told(null, 'vary', '*'), 'vary: *\r\n');
  assert.equal(told('https://b.example'), 'vary: Origin\r\n');
});
