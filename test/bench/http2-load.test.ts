/** The HTTP/2 and gRPC load: what h2load is asked and says, and the gRPC client and backend beside node:http2. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { allowedCores } from '../../bench/harness/cores.ts';
import { freePorts } from '../../bench/harness/ports.ts';
import { Processes, portAnswers } from '../../bench/harness/processes.ts';
import { call, callOptions, grpcClientCommand, grpcServerCommand } from '../../bench/load/grpc.ts';
import { h2loadCommand, parseH2load, together } from '../../bench/load/h2load.ts';
import { REQUEST_HEADERS } from '../../bench/load/headers.ts';
import { LatencyCounts } from '../../bench/load/latency-counts.ts';

const [core = 0] = allowedCores();
/** One message of 100 bytes. */
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 'y')]);
const CALLS = { seconds: 0.2, connections: 3, streams: 2, services: 2 };

const said = (protocol: string, done: number, failed: number): string =>
  [
    `Application protocol: ${protocol}`,
    '',
    'finished in 2.00s, 8000.00 req/s, 1.05MB/s',
    `requests: ${done} total, ${done + 8} started, ${done} done, ${done - failed} succeeded, ${failed} failed, 0 errored, 0 timeout`,
    `status codes: ${done - failed} 2xx, 0 3xx, 0 4xx, ${failed} 5xx`,
    'traffic: 2.10MB (2202009) total, 9.00MB (9441066) headers (space savings 48.67%), 0.99MB (1024000) data',
    '',
  ].join('\n');

test('h2load: requests, errors and bytes', () => {
  const { latencyMs, ...counted } = parseH2load(said('h2', 16_000, 5));
  assert.deepEqual(counted, { requests: 16_000, seconds: 2, bytes: 2_202_009, errors: 5 });
  assert.ok(Number.isNaN(latencyMs.p50) && Number.isNaN(latencyMs.p99), 'it says none');
});

test('h2load: HTTP/1.1 instead of HTTP/2, and no answers, are errors', () => {
  assert.throws(() => parseH2load(said('http/1.1', 16_000, 0)), /no answers over HTTP\/2/);
  assert.throws(() => parseH2load(said('h2', 0, 0)), /no answers over HTTP\/2/);
  assert.throws(() => parseH2load('failed to connect'), /no answers over HTTP\/2/);
});

test('h2load: the authority is the service, the address loopback, paths differ', () => {
  const command = h2loadCommand('h2load', {
    url: 'https://127.0.0.1:8443/64',
    service: 3,
    seconds: 2,
    connections: 4,
    streams: 8,
  });
  assert.ok(
    ['-c4', '-m8', '-D2s', '--connect-to=127.0.0.1:8443'].every((option) => command.includes(option)),
  );
  const urls = command.filter((argument) => argument.startsWith('https://'));
  assert.equal(new Set(urls).size, 100);
  assert.ok(urls.every((url) => url.startsWith('https://svc-3.bench.example/64?')));
  assert.equal(command.filter((argument) => argument === '-H').length, REQUEST_HEADERS.length);
});

test('processes that ran side by side add up', () => {
  const one = parseH2load(said('h2', 16_000, 5));
  const { requests, seconds, bytes, errors } = together([one, { ...one, seconds: 4 }]);
  assert.deepEqual({ requests, bytes, errors }, { requests: 32_000, bytes: 2 * 2_202_009, errors: 10 });
  // 8,000 a second and 4,000.
  assert.equal(Math.round(requests / seconds), 12_000);
});

test('percentiles come from counts', () => {
  const [fast, slow] = [new LatencyCounts(), new LatencyCounts()];
  for (let i = 0; i < 98; i++) fast.add(0.2);
  slow.add(5.004);
  slow.add(90_000);
  assert.deepEqual(LatencyCounts.percentiles([fast, slow]), { p50: 0.21, p99: 5.01 });
  assert.ok(Number.isNaN(LatencyCounts.percentiles([]).p50));
});

test('what the gRPC client is asked comes through its URL', () => {
  const options = { ...CALLS, port: 8_080, unary: true };
  const query = new URLSearchParams(
    Object.entries(options).map(([name, value]) => [name, `${Number(value)}`]),
  );
  assert.deepEqual(callOptions(`/run?${query}`), options);
});

test('the gRPC backend answers node:http2: the message back, then a status', async () => {
  await withPrograms(async (processes) => {
    const [port = 0] = await freePorts(1);
    await processes.start('backend', grpcServerCommand([port]), { core, ready: () => portAnswers(port) });
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ':method': 'POST', ':path': '/bench.Echo/Chat', te: 'trailers' });
    const head = once(stream, 'response');
    const trailers = once(stream, 'trailers');
    stream.write(MESSAGE);
    const [{ ':status': status, 'content-type': type }] = (await head) as [
      IncomingHttpHeaders & { ':status': number },
    ];
    assert.deepEqual([status, type], [200, 'application/grpc']);
    assert.deepEqual((await once(stream, 'data'))[0], MESSAGE);
    stream.end(MESSAGE);
    assert.deepEqual((await once(stream, 'data'))[0], MESSAGE);
    assert.equal(((await trailers) as [IncomingHttpHeaders])[0]['grpc-status'], '0');
    session.close();
  });
});

for (const unary of [true, false]) {
  test(`the gRPC client makes ${unary ? 'unary calls' : 'streams'} to the backend without an error`, async () => {
    await withPrograms(async (processes) => {
      const [control = 0, port = 0] = await freePorts(2);
      await processes.start('backend', grpcServerCommand([port]), { core, ready: () => portAnswers(port) });
      await processes.start('client', grpcClientCommand(control), {
        core,
        ready: () => portAnswers(control),
      });
      for (let run = 0; run < 2; run++) {
        const result = await call(control, { ...CALLS, port, unary });
        assert.equal(result.errors, 0);
        assert.ok(result.requests > 0 && result.latencyMs.p99 > 0);
        assert.ok(result.bytes >= MESSAGE.length * result.requests);
      }
    });
  });
}

test('calls have metadata of their own; a bad status, no trailers and a reset are errors', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    seen.push(headers);
    misbehave(stream, seen.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await withPrograms(async (processes) => {
      const [control = 0] = await freePorts(1);
      await processes.start('client', grpcClientCommand(control), {
        core,
        ready: () => portAnswers(control),
      });
      const { requests, errors } = await call(control, { ...CALLS, port, unary: true });
      // A quarter each: well, a bad status, no trailers, a reset. What was under way at the end is in neither.
      assert.ok(requests > 0 && errors > 0);
      assert.ok(
        Math.abs(errors / 3 - requests) <= CALLS.connections * CALLS.streams,
        `${errors}, ${requests}`,
      );
    });
  } finally {
    server.close();
  }
  for (const name of ['traceparent', 'x-request-id', 'x-cart-id'])
    assert.equal(new Set(seen.map((headers) => headers[name])).size, seen.length, name);
  const [{ ':authority': authority, te, 'content-type': type, 'grpc-timeout': timeout }] = seen as [
    IncomingHttpHeaders,
  ];
  assert.match(authority ?? '', /^svc-[01]\.bench\.example$/);
  assert.deepEqual([te, type, timeout], ['trailers', 'application/grpc', '10S']);
});

/** Every fourth call is answered as it should be. */
function misbehave(stream: ServerHttp2Stream, turn: number): void {
  stream.on('error', () => {});
  if (turn % 4 === 0) {
    stream.close(2);
    return;
  }
  const waitForTrailers = turn % 4 !== 1;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': turn % 4 === 2 ? '0' : '14' }));
  stream.end(MESSAGE);
}

async function withPrograms(use: (processes: Processes) => Promise<void>): Promise<void> {
  const processes = new Processes();
  try {
    await use(processes);
  } finally {
    await processes.stopAll();
  }
}
