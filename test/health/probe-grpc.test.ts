/** grpc.health.v1 against real servers: what is asked, what each answer means, and what is said about it. */
import assert from 'node:assert/strict';
import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { Server } from 'node:net';
import { test } from 'node:test';
import { Server as GrpcServer, type MethodDefinition, ServerCredentials, status } from '@grpc/grpc-js';
import { HealthChecker } from '../../src/controlplane/health/index.ts';
import {
  checkGrpc,
  framed,
  grpcAnswer,
  http2Endpoint,
  listen,
  meshAuthority,
  type OnStream,
  tcpEndpoint,
} from './endpoints.ts';
import { CHECK, FakeTimers, HealthBits, service } from './kit.ts';

const SERVING = framed(0x08, 1);
const PASSED = { passed: true, reason: 'health SERVING' };
const NO_HTTP2 = 'what answers speaks no HTTP/2; correct protocol, or the port';
/** An answer that has nothing to say but its status. */
const trailersOnly =
  (fields: Readonly<Record<string, string>>): OnStream =>
  (stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...fields }, { endStream: true });

test('the call is one of gRPC, with its deadline and the name of the service', async (t) => {
  const seen: unknown[] = [];
  const bodies: Buffer[] = [];
  const port = await http2Endpoint(t, (stream, headers) => {
    seen.push(Object.fromEntries(Object.entries(headers)));
    stream.on('data', (chunk: Buffer) => bodies.push(chunk));
    grpcAnswer(stream, SERVING);
  });
  assert.deepEqual(await checkGrpc(port), PASSED);
  assert.deepEqual(await checkGrpc(port, 'shop.Cart', { protocol: 'http2' }), PASSED);
  assert.deepEqual(seen[0], {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/grpc.health.v1.Health/Check',
    ':authority': 'cart',
    te: 'trailers',
    'grpc-timeout': '1000m',
    'content-type': 'application/grpc',
    'user-agent': 'outboard-health-check',
  });
  assert.deepEqual(bodies, [framed(), framed(0x0a, 9, ...Buffer.from('shop.Cart'))]);
});

test('the authority is the host, else the name of the service where it can be one', async (t) => {
  const seen: unknown[] = [];
  const port = await http2Endpoint(t, (stream, headers) => {
    seen.push(headers[':authority']);
    grpcAnswer(stream, SERVING);
  });
  const config = { ...CHECK, grpc: { service: '' }, host: 'cart.shop' };
  await checkGrpc(port);
  await checkGrpc(port, '', { check: config });
  await checkGrpc(port, '', { service: 'shop/cart' });
  assert.deepEqual(seen, ['cart', 'cart.shop', `127.0.0.1:${port}`]);
});

test('a deadline too long for milliseconds is told in a longer unit', async (t) => {
  const seen: unknown[] = [];
  const port = await http2Endpoint(t, (stream, headers) => {
    seen.push(headers['grpc-timeout']);
    grpcAnswer(stream, SERVING);
  });
  for (const timeoutMs of [1, 99_999_999, 100_000_000, 99_999 * 3_600_000])
    await checkGrpc(port, '', { check: { ...CHECK, grpc: { service: '' }, timeoutMs } });
  assert.deepEqual(seen, ['1m', '99999999m', '100000S', '5999940M']);
});

test('SERVING passes, every other answer fails and says what to do', async (t) => {
  const answers =
    (body: Buffer, trailers?: Readonly<Record<string, string>>): OnStream =>
    (stream) =>
      grpcAnswer(stream, body, trailers);
  const none = 'the answer is no HealthCheckResponse of grpc.health.v1';
  const unavailable = 'grpc-status 14 UNAVAILABLE: it drains';
  const cases: readonly (readonly [string, OnStream])[] = [
    ['health NOT_SERVING', answers(framed(0x08, 2))],
    ['health UNKNOWN', answers(framed())],
    ['health SERVICE_UNKNOWN', answers(framed(0x08, 3))],
    ['health 9', answers(framed(0x08, 9))],
    [none, answers(Buffer.alloc(0))],
    [none, answers(framed(0x08))],
    [none, answers(Buffer.concat([SERVING, SERVING]))],
    [none, trailersOnly({ 'grpc-status': '0' })],
    ['the answer is too long for one of grpc.health.v1', answers(Buffer.alloc(1024 * 1024))],
    [unavailable, answers(SERVING, { 'grpc-status': '14', 'grpc-message': 'it drains' })],
    [unavailable, trailersOnly({ 'grpc-status': '14', 'grpc-message': 'it%20drains' })],
    ['grpc-status 2 UNKNOWN: 100 %', trailersOnly({ 'grpc-status': '2', 'grpc-message': '100 %' })],
    ['grpc-status 13 INTERNAL: a  b', trailersOnly({ 'grpc-status': '13', 'grpc-message': 'a%0D%0Ab' })],
    [
      `grpc-status 13 INTERNAL: ${'x'.repeat(200)}`,
      trailersOnly({ 'grpc-status': '13', 'grpc-message': 'x'.repeat(300) }),
    ],
    ['grpc-status 4 DEADLINE_EXCEEDED', trailersOnly({ 'grpc-status': '4' })],
    ['grpc-status 99 UNKNOWN', trailersOnly({ 'grpc-status': '99' })],
    ['grpc-status x UNKNOWN', trailersOnly({ 'grpc-status': 'x' })],
    [
      'grpc-status 12 UNIMPLEMENTED: the server has no grpc.health.v1.Health; register it there, or check with GET',
      trailersOnly({ 'grpc-status': '12', 'grpc-message': 'unknown service' }),
    ],
    [
      'status 404, text/html, no grpc-status: is it a gRPC server? correct the port',
      (stream) => {
        stream.respond({ ':status': 404, 'content-type': 'text/html' });
        stream.end('no');
      },
    ],
    [
      'status 200, no content type, no grpc-status: is it a gRPC server? correct the port',
      (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
    ],
  ];
  for (const [reason, onStream] of cases)
    assert.deepEqual(await checkGrpc(await http2Endpoint(t, onStream)), { passed: false, reason });
});

test('NOT_FOUND names what was asked for', async (t) => {
  const port = await http2Endpoint(
    t,
    trailersOnly({ 'grpc-status': '5', 'grpc-message': 'unknown service' }),
  );
  const named = await checkGrpc(port, 'shop.Cart');
  const whole = await checkGrpc(port);
  assert.equal(
    named.reason,
    'grpc-status 5 NOT_FOUND: the server knows no service shop.Cart; correct grpc.service, or set its health there',
  );
  assert.equal(
    whole.reason,
    'grpc-status 5 NOT_FOUND: the server states no health of its own; set it there for the empty name, or write grpc.service',
  );
});

test('over TLS gRPC needs HTTP/2 by ALPN, and the names are verified', async (t) => {
  const mesh = meshAuthority();
  const seen: unknown[] = [];
  const good = await http2Endpoint(
    t,
    (stream, headers) => {
      seen.push([headers[':scheme'], headers[':authority']]);
      grpcAnswer(stream, SERVING);
    },
    mesh.issue(),
  );
  const http1 = await listen(
    t,
    createHttps(mesh.issue(), (_, response) => response.end()) as unknown as Server,
  );
  const { tls } = mesh;
  assert.deepEqual(await checkGrpc(good, '', { tls }, mesh.secrets), PASSED);
  assert.deepEqual(await checkGrpc(good, '', { tls, protocol: 'auto' }, mesh.secrets), PASSED);
  assert.deepEqual(seen, [
    ['https', 'cart'],
    ['https', 'cart'],
  ]);
  const cases = [
    [good, { tls: { ...tls, sni: 'other.shop' } }, /expected other\.shop/],
    [http1, { tls }, /accepts no ALPN protocol offered \(h2\)/],
    [http1, { tls, protocol: 'auto' }, /needs HTTP\/2, and ALPN agreed on http\/1\.1: write protocol: grpc/],
    [good, {}, /speaks no HTTP\/2|ECONNRESET|closed it/],
  ] as const;
  for (const [port, parts, reason] of cases) {
    const result = await checkGrpc(port, '', parts, mesh.secrets);
    assert.deepEqual([result.passed, reason.test(result.reason)], [false, true], result.reason);
  }
});

test('a server of HTTP/1.1 fails and says so', async (t) => {
  const port = await listen(
    t,
    createHttp1((_request, response) => response.end()),
  );
  assert.deepEqual(await checkGrpc(port), { passed: false, reason: NO_HTTP2 });
  const plain = 'gRPC needs HTTP/2, and protocol is auto: write protocol: grpc';
  assert.deepEqual(await checkGrpc(port, '', { protocol: 'auto' }), { passed: false, reason: plain });
});

test('a server that never answers, or never states its status, is given up and left', async (t) => {
  let reached = (): void => {};
  const message: OnStream = (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(SERVING, () => reached());
  };
  const ports = [
    await tcpEndpoint(t, (socket) => socket.once('data', () => reached())),
    await http2Endpoint(t, () => reached()),
    await http2Endpoint(t, message),
  ];
  for (const port of ports) {
    const timers = new FakeTimers();
    const reasons: string[] = [];
    const checker = new HealthChecker({
      clock: timers.clock,
      timers,
      random: () => 0,
      secrets: () => meshAuthority().secrets,
      ledger: new HealthBits(),
      hasTraffic: () => true,
      onEvent: (event) => void reasons.push('reason' in event ? event.reason : event.type),
    });
    const there = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const healthCheck = { ...CHECK, grpc: { service: '' } };
    checker.update({ services: [service('cart', [port], { protocol: 'grpc', healthCheck })] });
    await there;
    const ended = checker.firstResults(60_000);
    await timers.advance(CHECK.timeoutMs);
    await ended;
    assert.deepEqual(reasons, ['timeout after 1000 ms']);
    checker.stop();
    assert.equal(timers.armed, 0);
  }
});

test('a server of grpc-js is asked as its own clients ask it', async (t) => {
  const asIs = (bytes: Buffer): Buffer => bytes;
  const health: MethodDefinition<Buffer, Buffer> = {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  const states: Record<string, number> = { '': 1, 'shop.Cart': 1, 'shop.Stock': 2 };
  const mesh = meshAuthority();
  const { key, cert } = mesh.issue();
  const pair = [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }];
  for (const tls of [null, mesh.tls]) {
    const server = new GrpcServer();
    t.after(() => server.forceShutdown());
    server.addService(
      { health },
      {
        health(call: { request: Buffer }, answer: (error: object | null, message?: Buffer) => void) {
          const state = states[call.request.subarray(2).toString()];
          if (state === undefined) answer({ code: status.NOT_FOUND, details: 'unknown service' });
          else answer(null, Buffer.from([0x08, state]));
        },
      },
    );
    const credentials = tls ? ServerCredentials.createSsl(null, pair) : ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    const ask = (name: string) => checkGrpc(port, name, { tls }, mesh.secrets);
    assert.deepEqual(await ask(''), PASSED);
    assert.deepEqual(await ask('shop.Cart'), PASSED);
    assert.deepEqual(await ask('shop.Stock'), { passed: false, reason: 'health NOT_SERVING' });
    assert.match((await ask('shop.None')).reason, /NOT_FOUND: the server knows no service shop\.None/);
    server.removeService({ health });
    assert.match((await ask('')).reason, /UNIMPLEMENTED/);
    // It resolves when no connection is left.
    await new Promise<void>((resolve, reject) =>
      server.tryShutdown((error) => (error ? reject(error) : resolve())),
    );
  }
});
