/** What a gRPC call is told when the proxy answers it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_KINDS, type FailureKind, failure } from '../../src/base/index.ts';
import { asGrpcReply, grpcReply } from '../../src/dataplane/policy/index.ts';
import { H, HeaderList } from '../../src/message/index.ts';

const statusOf = (kind: FailureKind): number =>
  Number(grpcReply(failure(kind), '').headers.get(H['grpc-status']));

/** As grpc/doc/http-grpc-status-mapping.md has it, and what differs from it. */
const STATUSES: readonly (readonly [FailureKind, http: number, grpc: number])[] = [
  ['bad-header', 400, 13],
  ['bad-grpc-web', 400, 13],
  ['headers-too-large', 431, 13],
  ['no-route', 404, 12],
  ['no-service', 500, 2],
  ['method-not-implemented', 501, 2],
  ['body-timeout', 408, 2],
  ['no-endpoint', 503, 14],
  ['max-requests', 503, 14],
  ['max-pending', 503, 14],
  ['connect-refused', 503, 14],
  ['connect-timeout', 503, 14],
  ['closed-before-response', 503, 14],
  ['refused-stream', 503, 14],
  ['upstream-protocol', 502, 14],
  ['shutting-down', 503, 14],
  ['stream-idle', 504, 14],
  ['request-timeout', 504, 4],
  ['per-try-timeout', 504, 4],
  ['deadline', 504, 4],
  ['body-too-large', 413, 8],
];

for (const [kind, http, grpc] of STATUSES) {
  test(`${kind} is ${http}, and ${grpc} to a gRPC call`, () => {
    assert.equal(FAILURE_KINDS[kind].status, http);
    assert.equal(statusOf(kind), grpc);
  });
}

test('every failure that can be answered is a trailers-only answer', () => {
  for (const kind of Object.keys(FAILURE_KINDS) as FailureKind[]) {
    const { status, headers, body } = grpcReply(failure(kind), '');
    assert.equal(status, 200);
    assert.equal(body.length, 0);
    assert.equal(headers.get(H['content-type']), 'application/grpc');
    assert.match(headers.get(H['grpc-status']) ?? '', /^[0-9]{1,2}$/);
    assert.match(headers.get(H['grpc-message']) ?? '', /^[ -~]+$/);
  }
});

test('the message says what happened, its cure and where to look', () => {
  assert.equal(
    grpcReply(failure('max-requests', '10 of 10'), 'req-1').headers.get(H['grpc-message']),
    `max-requests (UO): ${FAILURE_KINDS['max-requests'].cure}; request req-1`,
  );
});

test("a client's fault comes back percent-encoded and short, an endpoint's detail not at all", () => {
  const nasty = `100%\r\ngrpc-status: 0\x00é${'a'.repeat(5_000)}`;
  const message = grpcReply(failure('bad-grpc-web', nasty), nasty).headers.get(H['grpc-message']) ?? '';
  assert.match(message, /^bad-grpc-web \(DPE\): 100%25\?\?grpc-status: 0\?\?a+: /);
  assert.ok(message.length < 1_500);
  const upstream = grpcReply(failure('connect-refused', '10.1.2.3:9001'), '').headers;
  assert.doesNotMatch(upstream.get(H['grpc-message']) ?? '', /10\.1\.2\.3/);
});

test('a direct response is mapped: its body becomes the message, its fields stay', () => {
  const headers = HeaderList.of('content-type', 'text/html', 'retry-after', '5');
  const reply = asGrpcReply({ status: 503, headers, body: Buffer.from('zu 100 % überlastet\n') });
  assert.equal(reply.status, 200);
  assert.equal(reply.body.length, 0);
  assert.deepEqual(reply.headers.toText().trim().split('\r\n'), [
    'retry-after: 5',
    'content-type: application/grpc',
    'grpc-status: 14',
    'grpc-message: zu 100 %25 %C3%BCberlastet%0A',
  ]);
});

test('a status that the rule sets stands, and a redirect keeps its location', () => {
  const own = HeaderList.of('grpc-status', '7', 'grpc-message', 'closed');
  const { headers } = asGrpcReply({ status: 403, headers: own, body: Buffer.from('x') });
  assert.deepEqual([headers.getAll(H['grpc-status']), headers.get(H['grpc-message'])], ['7', 'closed']);
  const redirect = asGrpcReply({
    status: 302,
    headers: HeaderList.of('location', '/b'),
    body: Buffer.alloc(0),
  });
  assert.equal(redirect.headers.get(H.location), '/b');
  assert.equal(redirect.headers.get(H['grpc-status']), '2');
  assert.equal(redirect.headers.has(H['grpc-message']), false);
});

test('a long message is cut, and never within an encoded byte', () => {
  for (const filler of ['ü', 'a', '%']) {
    const body = Buffer.from(filler.repeat(30_000));
    const { headers } = asGrpcReply({ status: 500, headers: HeaderList.empty(), body });
    const message = headers.get(H['grpc-message']) ?? '';
    assert.ok(message.length <= 3 * 1_024);
    assert.doesNotMatch(message, /%(?![0-9A-F]{2})/);
  }
});
