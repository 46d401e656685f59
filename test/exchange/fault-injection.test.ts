/** Delays and aborts on purpose, through the whole proxy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:http2';
import { describe, test } from 'node:test';
import { drawFault } from '../../src/dataplane/policy/index.ts';
import { HeaderList } from '../../src/message/index.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';
import { seeded } from '../router/seeded.ts';

const DELAY_MS = 60;
const NONE = HeaderList.empty();

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly tookMs: number;
}

async function ask(port: number, body = ''): Promise<Answer> {
  const started = performance.now();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ port, method: body === '' ? 'GET' : 'POST', agent: false }, resolve)
      .on('error', reject)
      .end(body);
  });
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, body: text, tookMs: performance.now() - started };
}

/** A backend that answers with the length of what it was sent. */
async function counting(): Promise<{ port: number; hits: () => number; close: () => Promise<void> }> {
  let hits = 0;
  const { port, close } = await httpBackend(async (incoming, response) => {
    hits++;
    let bytes = 0;
    for await (const chunk of incoming) bytes += (chunk as Buffer).length;
    response.end(String(bytes));
  });
  return { port, hits: () => hits, close };
}

const withFault = (port: number, fault: string, more = ''): string =>
  oneService([port], { rule: `fault: { ${fault} }\n${more}` });

test('a delay: no timeout counts it, and everything says so', async () => {
  const backend = await counting();
  // The timeout leaves a busy machine time enough for the rest.
  const delayMs = 1_500;
  await withProxy(
    withFault(
      backend.port,
      `delay: { fixedDelay: ${delayMs}ms }`,
      `timeouts: { request: ${delayMs - 20}ms }`,
    ),
    async (proxy) => {
      const hold = async (body: string): Promise<void> => {
        const answer = await ask(proxy.port, body);
        assert.deepEqual([answer.status, answer.body], [200, String(body.length)]);
        assert.ok(answer.tookMs >= delayMs, `${answer.tookMs} ms`);
      };
      await Promise.all([hold(''), hold('a'.repeat(100_000))]);
      await until(() => proxy.decisions.length === 2, 'decisions');
      for (const { verdict, flags, attempts } of proxy.decisions)
        assert.deepEqual([verdict, flags, attempts.length], ['delayed', 'DI', 1]);
      assert.equal(proxy.listenerCounter('web', 'faultDelaysInjected'), 2);
    },
  );
  await backend.close();
});

test('an abort: answered at once, without the backend', async () => {
  const backend = await counting();
  await withProxy(withFault(backend.port, 'abort: { httpStatus: 418 }'), async (proxy) => {
    const answer = await ask(proxy.port);
    assert.equal(answer.status, 418);
    assert.match(answer.body, /fault-injected \(FI\)/);
    const { verdict, flags, code } = await proxy.decision();
    assert.deepEqual([verdict, flags, code], ['refused', 'FI', 'fault-injected']);
    assert.equal(proxy.listenerCounter('web', 'faultAbortsInjected'), 1);
    assert.equal(backend.hits(), 0);
  });
  await backend.close();
});

test('a delay and then an abort', async () => {
  const backend = await counting();
  const fault = `delay: { fixedDelay: ${DELAY_MS}ms }, abort: {}`;
  await withProxy(withFault(backend.port, fault), async (proxy) => {
    const answer = await ask(proxy.port);
    assert.equal(answer.status, 503);
    assert.ok(answer.tookMs >= DELAY_MS);
    assert.equal((await proxy.decision()).flags, 'DI,FI');
  });
  await backend.close();
});

test('to a gRPC call an abort is a status of gRPC', async () => {
  const backend = await counting();
  await withProxy(withFault(backend.port, 'abort: { httpStatus: 500, grpcStatus: 8 }'), async (proxy) => {
    const client = connect(`http://127.0.0.1:${proxy.port}`);
    const call = client.request({
      ':method': 'POST',
      ':path': '/shop.Cart/Get',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.end(Buffer.alloc(5));
    const [headers] = (await once(call, 'response')) as [Record<string, unknown>];
    assert.deepEqual([headers[':status'], headers['grpc-status']], [200, '8']);
    client.destroy();
  });
  await backend.close();
});

test('a client that leaves while it is held up leaves nothing behind', async () => {
  const backend = await counting();
  await withProxy(withFault(backend.port, 'delay: { fixedDelay: 60s }'), async (proxy) => {
    const asked = request({ port: proxy.port, agent: false }).on('error', () => {});
    asked.end();
    await until(() => proxy.active === 1, 'the request');
    asked.destroy();
    await until(() => proxy.active === 0, 'its end');
    const { verdict, flags } = await proxy.decision();
    assert.deepEqual([verdict, flags], ['refused', 'DI,DC']);
    assert.equal(backend.hits(), 0);
  });
  await backend.close();
});

describe('who is hit', () => {
  test('so many percent, each of the two by itself', () => {
    const config = {
      delay: { percent: 30, delayMs: 5 },
      abort: { percent: 10, fixed: { status: 503, grpcStatus: null } },
      responseRateLimit: null,
    };
    const random = seeded(7);
    const drawn = Array.from({ length: 20_000 }, () => drawFault(config, NONE, false, random));
    const share = (hit: (fault: NonNullable<ReturnType<typeof drawFault>>) => boolean): number =>
      drawn.filter((fault) => fault !== null && hit(fault)).length / drawn.length;
    assert.ok(Math.abs(share(({ delayMs }) => delayMs > 0) - 0.3) < 0.015);
    assert.ok(Math.abs(share(({ abort }) => abort !== null) - 0.1) < 0.01);
    assert.ok(Math.abs(share(({ delayMs, abort }) => delayMs > 0 && abort !== null) - 0.03) < 0.006);
  });

  test('0 % is nobody, 100 % everybody, and no section nobody', () => {
    const at = (percent: number) => ({
      delay: null,
      abort: { percent, fixed: { status: 503, grpcStatus: null } },
      responseRateLimit: null,
    });
    const random = seeded(8);
    for (let i = 0; i < 1_000; i++) {
      assert.equal(drawFault(at(0), NONE, false, random), null);
      assert.notEqual(drawFault(at(100), NONE, false, random), null);
      assert.equal(drawFault(null, NONE, false, random), null);
    }
  });
});
