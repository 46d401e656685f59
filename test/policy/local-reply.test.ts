import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_KINDS, type FailureKind, failure } from '../../src/base/index.ts';
import { BREAKER_LIMITS, localReply } from '../../src/dataplane/policy/index.ts';

test('people get text: status, code, flag, cure and where to look', () => {
  const reply = localReply(failure('no-route'), '*/*', 'req-1');
  assert.equal(reply.status, 404);
  assert.equal(reply.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(reply.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(
    reply.body.toString(),
    `404 no-route (NR)\n${FAILURE_KINDS['no-route'].cure}\nrequest req-1\n`,
  );
});

test('programs get JSON', () => {
  const reply = localReply(failure('max-requests'), 'application/json', '');
  assert.equal(reply.headers.get('content-type'), 'application/json');
  assert.deepEqual(JSON.parse(reply.body.toString()), {
    status: 503,
    code: 'max-requests',
    flag: 'UO',
    cure: FAILURE_KINDS['max-requests'].cure,
  });
});

/** Accept field → JSON? */
const ACCEPT: readonly (readonly [string | undefined, boolean])[] = [
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', false],
  ['application/json', true],
  ['Application/JSON; charset=utf-8', true],
  ['application/json, text/plain, */*', true],
  ['application/problem+json', true],
  ['application/json;q=0', false],
  ['application/json;q=0.5, text/plain', false],
  ['application/json;q=nonsense', false],
  ['text/*;q=0.2, application/json;q=0.3', true],
  [`${'a/b,'.repeat(10_000)}application/json`, false],
];

for (const [accept, json] of ACCEPT) {
  test(`Accept: ${accept?.slice(0, 70)} gets ${json ? 'JSON' : 'text'}`, () => {
    const type = localReply(failure('no-route'), accept, '').headers.get('content-type');
    assert.equal(type === 'application/json', json);
  });
}

test("the detail of a client's fault comes back printable and short, that of an endpoint's not at all", () => {
  const nasty = `<script>\r\nSet-Cookie: x\x00é${'a'.repeat(1_000)}`;
  const text = localReply(failure('bad-target', nasty), undefined, nasty).body.toString('latin1');
  assert.match(text, /^400 bad-target \(DPE\): <script>\?\?Set-Cookie: x\?\?a+\n/);
  assert.doesNotMatch(text, /[^\x20-\x7e\n]/);
  assert.ok(text.length < 1_000);
  const json = JSON.parse(
    localReply(failure('bad-target', '"\\\n'), 'application/json', '"').body.toString(),
  );
  assert.equal(json.detail, '"\\?');
  assert.equal(json.requestId, '"');
  const upstream = localReply(failure('connect-refused', '10.1.2.3:9001'), undefined, '').body.toString();
  assert.doesNotMatch(upstream, /10\.1\.2\.3/);
});

test('every failure that can be answered has an answer', () => {
  for (const kind of Object.keys(FAILURE_KINDS) as FailureKind[]) {
    const reply = localReply(failure(kind), undefined, '');
    assert.equal(reply.status, FAILURE_KINDS[kind].status);
    assert.ok(reply.body.length > 0);
  }
});

test('a full gauge is a failure with the name of its limit', () => {
  assert.deepEqual(
    Object.values(BREAKER_LIMITS).map(({ failure: { kind, flag }, name, field }) => [
      kind,
      flag,
      name,
      field,
    ]),
    [
      ['max-pending', 'UO', 'circuitBreaker.maxPendingRequests', 'maxPendingRequests'],
      ['max-requests', 'UO', 'circuitBreaker.maxRequests', 'maxRequests'],
      ['max-retries', 'UO', 'circuitBreaker.maxRetries', 'maxRetries'],
    ],
  );
});
