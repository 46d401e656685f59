/** GET over HTTP/2, by prior knowledge and by ALPN, against real servers, good and bad. */
import assert from 'node:assert/strict';
import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { Server } from 'node:net';
import { test } from 'node:test';
import { NO_SECRETS, type ServiceProtocol } from '../../src/config/index.ts';
import {
  type CheckEvent,
  HealthChecker,
  type HealthEvent,
  probeEndpoint,
} from '../../src/controlplane/health/index.ts';
import {
  check,
  http2Endpoint,
  listen,
  meshAuthority,
  type OnStream,
  target,
  tcpEndpoint,
} from './endpoints.ts';
import { CHECK, FakeTimers, HealthBits, service } from './kit.ts';

const http2 = { protocol: 'http2' } as const;

test('in plain it is HTTP/2 by prior knowledge, as the same request as over HTTP/1.1', async (t) => {
  const seen: unknown[] = [];
  const port = await http2Endpoint(t, (stream, headers) => {
    seen.push(Object.fromEntries(Object.entries(headers)));
    stream.respond({ ':status': 200 });
    stream.end('body');
  });
  for (const protocol of ['http2', 'grpc'] as const)
    assert.deepEqual(await check(target(port, { protocol })), { passed: true, reason: 'status 200' });
  await check(target(port, { ...http2, check: { ...CHECK, host: 'cart.shop' } }));
  const expected = (authority: string) => ({
    ':method': 'GET',
    ':scheme': 'http',
    ':authority': authority,
    ':path': '/healthz',
    'user-agent': 'outboard-health-check',
    accept: '*/*',
  });
  const own = expected('cart');
  assert.deepEqual(seen, [own, own, expected('cart.shop')]);
});

test('a status among those expected passes, another one fails', async (t) => {
  const port = await http2Endpoint(t, (stream, headers) => {
    stream.additionalHeaders({ ':status': 103 });
    stream.respond({ ':status': Number(String(headers[':path']).slice(1)) }, { endStream: true });
  });
  for (const [status, passed] of [
    [200, true],
    [204, true],
    [302, false],
    [503, false],
  ] as const) {
    const result = await check(target(port, { ...http2, check: { ...CHECK, path: `/${status}` } }));
    assert.deepEqual(result, { passed, reason: `status ${status}` });
  }
});

test('a body longer than anyone reads is left, and the status counts', async (t) => {
  const port = await http2Endpoint(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.write(Buffer.alloc(1024 * 1024));
  });
  assert.deepEqual(await check(target(port, http2)), { passed: true, reason: 'status 200' });
});

test('an endpoint that drains is heard out', async (t) => {
  const port = await http2Endpoint(t, (stream) => {
    stream.session?.goaway(0, stream.id);
    setImmediate(() => stream.respond({ ':status': 200 }, { endStream: true }));
  });
  assert.deepEqual(await check(target(port, http2)), { passed: true, reason: 'status 200' });
});

test('over TLS ALPN decides, as it does for requests', async (t) => {
  const mesh = meshAuthority();
  const seen: string[] = [];
  const both = await http2Endpoint(t, (stream) => stream.respond({ ':status': 200 }, { endStream: true }), {
    ...mesh.issue(),
    allowHTTP1: true,
  });
  const answer = (_request: unknown, response: { end(): void }): void => {
    seen.push('HTTP/1.1');
    response.end();
  };
  const http1 = await listen(t, createHttps(mesh.issue(), answer) as unknown as Server);
  // It knows nothing of ALPN.
  const silent = await listen(
    t,
    createHttps({ ...mesh.issue(), ALPNProtocols: [] }, answer) as unknown as Server,
  );
  const only = await http2Endpoint(
    t,
    (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
    mesh.issue(),
  );
  const ok = 'status 200';
  const cases: readonly (readonly [number, ServiceProtocol, string])[] = [
    [both, 'auto', ok],
    [both, 'http2', ok],
    [both, 'grpc', ok],
    [only, 'auto', ok],
    [only, 'http2', ok],
    [only, 'http', 'the endpoint accepts no ALPN protocol offered (http/1.1); correct protocol'],
    [http1, 'auto', ok],
    [http1, 'http', ok],
    [http1, 'http2', 'the endpoint accepts no ALPN protocol offered (h2); correct protocol'],
    [silent, 'auto', ok],
    [silent, 'http2', 'what answers speaks no HTTP/2; correct protocol, or the port'],
  ];
  for (const [port, protocol, reason] of cases) {
    const result = await check(target(port, { protocol, tls: mesh.tls }), mesh.secrets);
    assert.deepEqual(result, { passed: reason === ok, reason }, `${port} ${protocol}`);
  }
  assert.deepEqual(seen, ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1']);
});

test('over TLS the names are verified, and the host is the service as in plain', async (t) => {
  const mesh = meshAuthority();
  const seen: unknown[] = [];
  const port = await http2Endpoint(
    t,
    (stream, headers) => {
      seen.push([headers[':scheme'], headers[':authority']]);
      stream.respond({ ':status': 200 }, { endStream: true });
    },
    mesh.issue(),
  );
  const good = await check(target(port, { ...http2, tls: mesh.tls }), mesh.secrets);
  const bad = await check(target(port, { ...http2, tls: { ...mesh.tls, sni: 'other.shop' } }), mesh.secrets);
  assert.equal(good.passed, true, good.reason);
  assert.match(bad.reason, /expected other\.shop/);
  assert.deepEqual(seen, [['https', 'cart']]);
});

test('what speaks no HTTP/2 fails and says which protocol to correct', async (t) => {
  const noHttp2 = 'what answers speaks no HTTP/2; correct protocol, or the port';
  const http1 = await listen(
    t,
    createHttp1((_request, response) => response.end()),
  );
  const mail = await tcpEndpoint(t, (socket) => socket.write('220 mail.example ESMTP\r\n'));
  const closing = await tcpEndpoint(t, (socket) => socket.once('data', () => socket.end()));
  for (const port of [http1, mail, closing])
    assert.deepEqual(await check(target(port, http2)), { passed: false, reason: noHttp2 }, `${port}`);
});

test('an answer that breaks off fails, with the reason', async (t) => {
  const head = frame(1, 4, 1, 0x88);
  const half = frame(0, 0, 1, 0x78);
  const reset = (code: number): Buffer => frame(3, 0, 1, 0, 0, 0, code);
  const none = 'the endpoint closed it without an answer';
  const cut = 'the endpoint cut its answer off';
  const cases: readonly (readonly [string, string, ...Buffer[]])[] = [
    ['refused', 'Stream closed with error code NGHTTP2_REFUSED_STREAM', reset(7)],
    ['cancelled', none, reset(8)],
    ['connection closed', none],
    ['cancelled in the body', cut, head, half, reset(8)],
    ['reset in the body', 'Stream closed with error code NGHTTP2_INTERNAL_ERROR', head, half, reset(2)],
    ['connection closed in the body', cut, head, half],
    ['GOAWAY', 'Session closed with error code 11', frame(7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11)],
  ];
  for (const [name, reason, ...frames] of cases) {
    const port = await tcpEndpoint(t, (socket) => {
      socket.write(Buffer.concat([frame(4, 0, 0), frame(4, 1, 0)]));
      let sent = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        const asked = hasRequest(sent);
        sent = Buffer.concat([sent, chunk]);
        if (!asked && hasRequest(sent)) socket.end(Buffer.concat(frames));
      });
    });
    assert.deepEqual(await check(target(port, http2)), { passed: false, reason }, name);
  }
});

test('when its time is up a check ends wherever it is, and leaves no connection', async (t) => {
  const mesh = meshAuthority();
  let reached = (): void => {};
  const silent = await tcpEndpoint(t, (socket) => socket.once('data', () => reached()));
  const asked = (): void => reached();
  const begun: OnStream = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('x', () => reached());
  };
  const cases = [
    { until: 'the preface', port: silent, tls: null },
    { until: 'the client hello', port: silent, tls: mesh.tls },
    { until: 'the request', port: await http2Endpoint(t, asked), tls: null },
    { until: 'the request over TLS', port: await http2Endpoint(t, asked, mesh.issue()), tls: mesh.tls },
    { until: 'the body', port: await http2Endpoint(t, begun), tls: null },
  ];
  for (const { until, port, tls } of cases) {
    const timers = new FakeTimers();
    const events: HealthEvent[] = [];
    const checker = new HealthChecker({
      clock: timers.clock,
      timers,
      random: () => 0,
      secrets: () => mesh.secrets,
      ledger: new HealthBits(),
      hasTraffic: () => true,
      onEvent: (event) => void events.push(event),
    });
    const there = new Promise<void>((resolve) => {
      reached = resolve;
    });
    checker.update({ services: [service('cart', [port], { protocol: 'http2', tls })] });
    await there;
    const ended = checker.firstResults(60_000);
    await timers.advance(CHECK.timeoutMs);
    await ended;
    const reason = `timeout after ${CHECK.timeoutMs} ms`;
    const [event, ...more] = events as CheckEvent[];
    assert.deepEqual([event?.reason, event?.failureType, more], [reason, 'NETWORK_TIMEOUT', []], until);
    checker.stop();
    assert.equal(timers.armed, 0, until);
  }
});

test('a check whose time is up before it connects makes no connection, or ends it', async (t) => {
  const asked: string[] = [];
  const port = await http2Endpoint(t, () => asked.push('asked'));
  const before = probeEndpoint(target(port, http2), NO_SECRETS, AbortSignal.abort());
  const abort = new AbortController();
  const during = probeEndpoint(target(port, http2), NO_SECRETS, abort.signal);
  abort.abort();
  for (const result of [await before, await during])
    assert.deepEqual(result, {
      passed: false,
      reason: 'timeout after 1000 ms',
      failureType: 'NETWORK_TIMEOUT',
    });
  assert.deepEqual(asked, []);
});

function frame(type: number, flags: number, stream: number, ...payload: number[]): Buffer {
  return Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload]);
}

/** Is there a HEADERS frame in what a client has sent? */
function hasRequest(bytes: Buffer): boolean {
  for (let at = PREFACE_BYTES; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    if (bytes[at + 3] === 1) return true;
  return false;
}

const PREFACE_BYTES = 24;
