/** One check against real servers: statuses, headers, refusals, timeouts, TLS. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { test } from 'node:test';
import { NO_SECRETS, secretSet, type UpstreamTls } from '../../src/config/index.ts';
import { probeEndpoint } from '../../src/controlplane/health/index.ts';
import { createCa, issueCertificate, type LeafOptions } from '../../src/controlplane/identity/index.ts';
import { check, checkWhole, http2Endpoint, listen, target, tcpEndpoint } from './endpoints.ts';
import { CHECK } from './kit.ts';

test('a status among those expected passes, another one fails', async (t) => {
  const port = await listen(
    t,
    createServer((request, response) => {
      response.writeHead(Number((request.url as string).slice(1))).end('body');
    }),
  );
  const expectedStatuses = [
    [200, 204],
    [401, 401],
  ] as const;
  for (const [path, passed] of [
    ['/200', true],
    ['/204', true],
    ['/205', false],
    ['/401', true],
    ['/503', false],
    ['/302', false],
  ] as const) {
    const result = await check(target(port, { check: { ...CHECK, path, expectedStatuses } }));
    assert.deepEqual(result, { passed, reason: `status ${path.slice(1)}` });
  }
});

test('the check names itself and the host, by default the service, and keeps no connection', async (t) => {
  const seen: (string | undefined)[][] = [];
  const handler: RequestListener = (request, response) => {
    const { host, connection } = request.headers;
    seen.push([request.method, request.url, host, connection, request.headers['user-agent']]);
    response.end();
  };
  const port = await listen(t, createServer(handler));
  await check(target(port, { check: { ...CHECK, host: 'cart.shop' } }));
  await check(target(port));
  await check(target(port, { service: 'shop/cart' }));
  assert.deepEqual(seen, [
    ['GET', '/healthz', 'cart.shop', 'close', 'outboard-health-check'],
    ['GET', '/healthz', 'cart', 'close', 'outboard-health-check'],
    ['GET', '/healthz', `127.0.0.1:${port}`, 'close', 'outboard-health-check'],
  ]);
});

test('a passing answer may call the endpoint degraded, a failing one ask for no more requests', async (t) => {
  const handler: RequestListener = (request, response) => {
    const both = { 'x-envoy-degraded': '', 'X-Envoy-Immediate-Health-Check-Fail': 'true' };
    response.writeHead(Number((request.url as string).slice(1)), both).end();
  };
  const http1 = await listen(t, createServer(handler));
  const http2 = await http2Endpoint(t, (stream, headers) =>
    stream.respond(
      {
        ':status': Number(String(headers[':path']).slice(1)),
        'x-envoy-degraded': '1',
        'x-envoy-immediate-health-check-fail': '1',
      },
      { endStream: true },
    ),
  );
  for (const to of [target(http1), target(http2, { protocol: 'http2' })]) {
    const ask = (path: string) => checkWhole({ ...to, check: { ...CHECK, path } });
    const passing = await ask('/200');
    assert.deepEqual([passing.passed, passing.degraded, passing.immediate], [true, true, false]);
    const failing = await ask('/503');
    assert.deepEqual([failing.passed, failing.degraded, failing.immediate], [false, false, true]);
    assert.equal(failing.failureType, 'ACTIVE');
  }
});

test('nobody listens: the reason is the system’s code', async (t) => {
  const server = createServer();
  const port = await listen(t, server);
  await new Promise((resolve) => server.close(resolve));
  for (const protocol of ['http', 'http2'] as const)
    assert.deepEqual(await check(target(port, { protocol })), { passed: false, reason: 'ECONNREFUSED' });
});

test('an endpoint that never answers, or never ends its answer, is given up when the signal says so', async (t) => {
  const silent = await tcpEndpoint(t);
  const endless = await listen(
    t,
    createServer((_request, response) => {
      response.writeHead(200).write('x');
    }),
  );
  for (const port of [silent, endless]) {
    const abort = new AbortController();
    const result = probeEndpoint(target(port), NO_SECRETS, abort.signal);
    setTimeout(() => abort.abort(), 50);
    const { passed, reason, failureType } = await result;
    assert.deepEqual([passed, reason, failureType], [false, 'timeout after 1000 ms', 'NETWORK_TIMEOUT']);
  }
});

test('what is not HTTP fails with a reason', async (t) => {
  const port = await tcpEndpoint(t, (socket) => socket.end('220 mail.example ESMTP\r\n'));
  const result = await check(target(port));
  assert.equal(result.passed, false);
  assert.match(result.reason, /HTTP\/1\.1 protocol/);
});

test('an endpoint that closes without an answer fails with a reason', async (t) => {
  const atOnce = await tcpEndpoint(t, (socket) => socket.destroy());
  const onRequest = await tcpEndpoint(t, (socket) => socket.once('data', () => socket.end()));
  for (const port of [atOnce, onRequest]) {
    const result = await check(target(port));
    assert.equal(result.passed, false);
    assert.match(result.reason, /^(?:UND_ERR_SOCKET|ECONNRESET|EPIPE)$|closed the connection/);
  }
});

test('over TLS the bundle and the names are verified as for requests', async (t) => {
  const ca = createCa({ commonName: 'mesh' });
  const stranger = createCa({ commonName: 'stranger' });
  const bundle = (name: string, caPem: string) => ({ name, caPem, hash: name });
  const secrets = secretSet({
    version: 1,
    certificates: [],
    bundles: [bundle('mesh', ca.certPem), bundle('stranger', stranger.certPem)],
    ticketKeys: [],
  });
  const serve = (leaf: LeafOptions): Promise<number> => {
    const { certPem, keyPem } = issueCertificate(ca, leaf);
    return listen(
      t,
      createTlsServer({ cert: certPem, key: keyPem }, (_request, response) => response.end()) as never,
    );
  };
  const named = await serve({ commonName: 'x', dnsNames: ['cart.shop'], uris: ['spiffe://mesh/ns/a/sa/b'] });
  const addressed = await serve({ commonName: 'x', ipAddresses: ['127.0.0.1'] });
  const commonOnly = await serve({ commonName: 'cart.shop' });
  const posing = await serve({ commonName: 'x', dnsNames: ['a, URI:spiffe://mesh/ns/a/sa/b, DNS:c'] });
  const spiffe = ['spiffe://mesh/ns/a/sa/b'];
  const cases: [number, Partial<UpstreamTls>, boolean, RegExp][] = [
    [named, { sni: 'cart.shop' }, true, /status 200/],
    [named, { sni: 'other.shop' }, false, /expected other\.shop/],
    [named, { sni: 'other.shop', subjectAltNames: ['cart.shop'] }, true, /status 200/],
    [named, { subjectAltNames: spiffe }, true, /status 200/],
    [named, { subjectAltNames: ['spiffe://mesh/ns/a/sa/c'] }, false, /expected spiffe/],
    [named, {}, false, /expected 127\.0\.0\.1/],
    [addressed, {}, true, /status 200/],
    [commonOnly, { sni: 'cart.shop' }, false, /no subjectAltName/],
    [posing, { subjectAltNames: spiffe }, false, /expected spiffe/],
    [
      named,
      { sni: 'cart.shop', ca: 'stranger' },
      false,
      /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED|UNABLE_TO_GET/,
    ],
    [named, { sni: 'cart.shop', ca: 'gone' }, false, /bundle gone is not loaded/],
  ];
  for (const [port, parts, passed, reason] of cases) {
    const tls: UpstreamTls = { sni: null, ca: 'mesh', subjectAltNames: [], certificate: null, ...parts };
    const result = await check(target(port, { tls }), secrets);
    assert.deepEqual(
      [result.passed, reason.test(result.reason)],
      [passed, true],
      `${JSON.stringify(parts)}: ${result.reason}`,
    );
  }
});
