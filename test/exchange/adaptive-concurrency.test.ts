/** The concurrency limit that a service finds, through the whole proxy. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';
import { headStatus, makeCall } from './grpc-calls.ts';

const ASK = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** A backend that answers when it is told to. */
async function holding() {
  const held: ServerResponse[] = [];
  const { port, close } = await httpBackend((incoming, response) => {
    incoming.resume();
    held.push(response);
  });
  return {
    port,
    close,
    held,
    release(): void {
      for (const response of held.splice(0)) response.end('ok');
    },
  };
}

async function ask(proxy: TestProxy): Promise<RawClient> {
  const client = await RawClient.connect(proxy.port);
  return client.send(ASK);
}

async function statusOf(client: RawClient): Promise<string> {
  return (await client.until((text) => text.includes('\r\n\r\n'))).slice(9, 12);
}

const adaptive = (port: number, section = '{}'): string =>
  oneService([port], { service: `adaptiveConcurrency: ${section}` });

test('one request more than the limit is refused, and the decision says by what', async () => {
  const backend = await holding();
  await withProxy(adaptive(backend.port), async (proxy) => {
    const clients = await Promise.all([1, 2, 3].map(() => ask(proxy)));
    await until(() => backend.held.length === 3, 'three requests at the backend');
    const refused = await ask(proxy);
    assert.equal(await statusOf(refused), '503');
    assert.match(refused.text, /concurrency-limit \(UO\)/);
    const { verdict, flags, code, limit, limitValue, observedValue } = await proxy.decision();
    assert.deepEqual(
      [verdict, flags, code, limit, limitValue, observedValue],
      ['refused', 'UO', 'concurrency-limit', 'adaptiveConcurrency', 3, 3],
    );
    assert.equal(proxy.gauge('a', 'outstanding'), 3);
    backend.release();
    for (const client of clients) assert.equal(await statusOf(client), '200');
    await until(() => proxy.gauge('a', 'outstanding') === 0, 'every place is given back');
    refused.send(ASK);
    await until(() => backend.held.length === 1, 'it is let through now');
    backend.release();
    for (const client of [...clients, refused]) client.destroy();
  });
  await backend.close();
});

test('to a gRPC call it is UNAVAILABLE', async () => {
  const backend = await holding();
  await withProxy(adaptive(backend.port, '{ minRttCalcParams: { minConcurrency: 1 } }'), async (proxy) => {
    const client = await ask(proxy);
    await until(() => backend.held.length === 1, 'a request at the backend');
    assert.deepEqual(headStatus(await makeCall(proxy)), [200, '14', '']);
    backend.release();
    assert.equal(await statusOf(client), '200');
    client.destroy();
  });
  await backend.close();
});

test('what is answered makes minRTT, and then the limit grows', async () => {
  const backend = await httpBackend((_incoming, response) =>
    response.setHeader('content-length', 2).end('ok'),
  );
  const section =
    '{ concurrencyLimitParams: { concurrencyUpdateInterval: 10ms }, minRttCalcParams: { requestCount: 5, buffer: 100 } }';
  await withProxy(adaptive(backend.port, section), async (proxy) => {
    const reading = () => proxy.ledger.readAdaptive(proxy.snapshot.services[0]?.slot ?? 0);
    assert.equal(reading()?.measuringMinRtt, true);
    const client = await RawClient.connect(proxy.port);
    const again = async (): Promise<void> => {
      client.text = '';
      client.send(ASK);
      await client.until((text) => text.endsWith('ok'));
    };
    // The very first may have begun in the ms in which the measurement did.
    for (let i = 0; i < 7; i++) await again();
    assert.equal(reading()?.measuringMinRtt, false);
    assert.ok((reading()?.minRttUs ?? 0) > 0);
    for (let i = 0; i < 10_000 && reading()?.limit === 3; i++) await again();
    assert.ok((reading()?.limit ?? 0) > 3, 'a limit above the lowest');
    client.destroy();
  });
  await backend.close();
});

test('what never reached the service says nothing of its latency', async () => {
  const backend = await holding();
  await backend.close();
  const section = '{ minRttCalcParams: { requestCount: 1 } }';
  await withProxy(adaptive(backend.port, section), async (proxy) => {
    for (let i = 0; i < 3; i++) {
      const client = await ask(proxy);
      assert.equal(await statusOf(client), '503');
      client.destroy();
    }
    const reading = proxy.ledger.readAdaptive(proxy.snapshot.services[0]?.slot ?? 0);
    assert.equal(reading?.measuringMinRtt, true);
  });
});

test('a timeout is a latency, or an overloaded service would look quick', async () => {
  const backend = await holding();
  const yaml = oneService([backend.port], {
    rule: 'timeouts: { request: 50ms }\nretry: { attempts: 0 }',
    service: 'adaptiveConcurrency: { minRttCalcParams: { requestCount: 1 } }',
  });
  await withProxy(yaml, async (proxy) => {
    const slot = proxy.snapshot.services[0]?.slot ?? 0;
    for (let i = 0; i < 3; i++) {
      const client = await ask(proxy);
      assert.equal(await statusOf(client), '504');
      client.destroy();
    }
    assert.ok((proxy.ledger.readAdaptive(slot)?.minRttUs ?? 0) >= 45_000);
  });
  await backend.close();
});

test('switched off while requests are under way, it gets their places back', async () => {
  const backend = await holding();
  await withProxy(adaptive(backend.port), async (proxy) => {
    const client = await ask(proxy);
    await until(() => backend.held.length === 1, 'a request at the backend');
    await proxy.reload(oneService([backend.port]).replace(':0', `:${proxy.port}`));
    const more = await Promise.all([1, 2, 3, 4].map(() => ask(proxy)));
    await until(() => backend.held.length === 5, 'no limit holds any more');
    backend.release();
    for (const each of [client, ...more]) {
      assert.equal(await statusOf(each), '200');
      each.destroy();
    }
    await until(() => proxy.gauge('a', 'outstanding') === 0, 'the place');
  });
  await backend.close();
});
