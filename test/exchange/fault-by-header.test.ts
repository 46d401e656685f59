/** Faults that a request asks for itself, and answers that are slowed down. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { describe, test } from 'node:test';
import type { FaultConfig } from '../../src/config/index.ts';
import { drawFault } from '../../src/dataplane/policy/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';
import { seeded } from '../router/seeded.ts';
import { ask } from './echo.ts';

const BY_HEADER: FaultConfig = {
  delay: { percent: 40, delayMs: null },
  abort: { percent: 40, fixed: null },
  responseRateLimit: { percent: 40, kbps: null },
};

describe('what is drawn', () => {
  const always = (): number => 0;
  const drawn = (...fields: string[]) => drawFault(BY_HEADER, HeaderList.of(...fields), false, always);

  test('what the fields say, and nothing where they say nothing that can be used', () => {
    assert.equal(drawn(), null);
    const all = drawn(
      'x-envoy-fault-delay-request',
      '250',
      'x-envoy-fault-abort-request',
      '418',
      'x-envoy-fault-throughput-response',
      '64',
    );
    assert.deepEqual(all, { delayMs: 250, abort: { status: 418, grpcStatus: null }, responseKbps: 64 });
    for (const [field, value] of [
      ['delay-request', '0'],
      ['delay-request', 'soon'],
      ['abort-request', '199'],
      ['abort-request', '600'],
      ['abort-grpc-request', '8'],
      ['throughput-response', '0'],
      ['throughput-response', '-1'],
    ])
      assert.equal(drawn(`x-envoy-fault-${field}`, value as string), null, `${field} ${value}`);
    assert.equal(drawn('x-envoy-fault-delay-request', '999999999')?.delayMs, 300_000);
  });

  test('a status of gRPC, to gRPC calls; one of HTTP counts before it', () => {
    const call = (...fields: string[]) => drawFault(BY_HEADER, HeaderList.of(...fields), true, always)?.abort;
    const grpc = ['x-envoy-fault-abort-grpc-request', '8'];
    assert.deepEqual(call(...grpc), { status: 503, grpcStatus: 8 });
    assert.deepEqual(call(...grpc, 'x-envoy-fault-abort-request', '500'), { status: 500, grpcStatus: null });
  });

  test('a request may lower the percentage, and not raise it', () => {
    const share = (...fields: string[]): number => {
      const random = seeded(11);
      const headers = HeaderList.of('x-envoy-fault-delay-request', '5', ...fields);
      let hit = 0;
      for (let i = 0; i < 20_000; i++) if (drawFault(BY_HEADER, headers, false, random) !== null) hit++;
      return hit / 20_000;
    };
    const asking = (percent: string) => share('x-envoy-fault-delay-request-percentage', percent);
    assert.ok(Math.abs(share() - 0.4) < 0.015);
    assert.ok(Math.abs(asking('10') - 0.1) < 0.01);
    assert.ok(Math.abs(asking('90') - 0.4) < 0.015);
    assert.equal(asking('0'), 0);
  });
});

const FAULT =
  'fault: { delay: { headerDelay: true }, abort: { headerAbort: true }, responseRateLimit: { headerLimit: true } }';
const TRUSTING = 'trustedCallers: [127.0.0.1]';

test('a trusted caller is hit as it asks, a stranger is not', async () => {
  const backend = await httpBackend((_, response) => response.end('ok'));
  for (const [listener, status, flags] of [
    [TRUSTING, 418, 'DI,FI'],
    ['', 200, null],
  ] as const) {
    await withProxy(oneService([backend.port], { listener, rule: FAULT }), async (proxy) => {
      const answer = await ask(
        proxy,
        '/',
        'x-envoy-fault-delay-request: 20',
        'x-envoy-fault-abort-request: 418',
      );
      assert.equal(answer.status, status);
      if (flags !== null) assert.equal((await proxy.decision()).flags, flags);
    });
  }
  await backend.close();
});

test('a slowed answer: as long as it must take, whole, and said so', async () => {
  const body = 'abcdefgh'.repeat(4_096);
  const backend = await httpBackend((_, response) => response.end(body));
  const rule = 'fault: { responseRateLimit: { limitKbps: 128 } }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const started = performance.now();
    const answer = await ask(proxy, '/');
    const tookMs = performance.now() - started;
    assert.equal(answer.body, body);
    // 32 KiB, of which 6.4 go at once.
    assert.ok(tookMs >= 190, `${tookMs} ms`);
    const { verdict, flags, attempts } = await proxy.decision();
    assert.deepEqual([verdict, flags, attempts.length], ['delayed', '-', 1]);
    assert.equal(proxy.listenerCounter('web', 'faultResponseRlInjected'), 1);
  });
  await backend.close();
});

test('a large slowed answer stays at its endpoint; a client that leaves ends it', async () => {
  let written = 0;
  const backend = await httpBackend((_, response) => {
    const chunk = Buffer.alloc(65_536, 'x');
    const more = (): void => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length;
      written += chunk.length;
      response.once('drain', more);
    };
    more();
  });
  const rule = 'fault: { responseRateLimit: { limitKbps: 1 } }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n').until((text) => text.includes('xxx'));
    let last = -1;
    await until(() => {
      const same = written === last;
      last = written;
      return same && written > 0;
    }, 'the endpoint is held');
    assert.ok(client.text.length < 64 * 1_024, `${client.text.length} bytes came`);
    client.destroy();
    await until(() => proxy.active === 0, 'its end');
    assert.equal((await proxy.decision()).flags, 'DC');
  });
  await backend.close();
});

test('a slowed gRPC call keeps its trailers', async () => {
  const backend = await httpBackend((_, response) => {
    response.writeHead(200, { 'content-type': 'application/grpc', trailer: 'grpc-status' });
    response.write(Buffer.alloc(3_000));
    response.addTrailers({ 'grpc-status': '7' });
    response.end();
  });
  const config = oneService([backend.port], { rule: FAULT, listener: TRUSTING });
  await withProxy(config, async (proxy) => {
    const client = connect(`http://127.0.0.1:${proxy.port}`);
    const call = client.request({
      ':method': 'POST',
      ':path': '/a.B/C',
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-envoy-fault-throughput-response': '20',
    });
    call.end(Buffer.alloc(5));
    let bytes = 0;
    call.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    const [trailers] = (await once(call, 'trailers')) as [Record<string, unknown>];
    assert.deepEqual([bytes, trailers['grpc-status']], [3_000, '7']);
    client.destroy();
  });
  await backend.close();
});
