/** What one caller may hold: the excess is refused and told apart, others notice nothing, and every unit comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MovedClock } from '../http2-attacks/kit.ts';
import { FramePeer } from '../http2-attacks/peer.ts';
import { PING } from '../kit/frames.ts';
import { sessionClient } from '../kit/http2.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient } from '../kit/raw.ts';
import { answered, backend, caller, get, isReset, OTHER, POD, withCallers } from './callers-kit.ts';

test('a connection beyond maxConnections is reset, one of another caller is not, and a closed one makes room', async () => {
  const upstream = await backend();
  await withCallers(upstream.port, 'maxConnections: 2', async (proxy) => {
    const first = await RawClient.connect(proxy.port, POD);
    const second = await RawClient.connect(proxy.port, POD);
    await until(() => caller(proxy, POD).connections === 2, 'two connections');
    assert.equal(await isReset(proxy.port, POD), true);
    assert.equal(await isReset(proxy.port, OTHER), false);
    await second.send(get()).until(answered);
    first.destroy();
    await until(() => caller(proxy, POD).connections === 1, 'the end of one');
    assert.equal(await isReset(proxy.port, POD), false);
    assert.equal(caller(proxy, POD).refusedConnections, 1);
    await proxy.recorded();
    const refusals = proxy.decisions.filter(({ code }) => code === 'caller-connections');
    assert.deepEqual(
      refusals.map(({ flags, verdict }) => [flags, verdict]),
      [['RL', 'refused']],
    );
    second.destroy();
  });
});

test('behind a load balancer that says whose connections they are, those are the callers', async () => {
  const upstream = await backend();
  const listener = 'proxyProtocol: { trustedProxies: [127.0.0.0/8] }';
  await withCallers(
    upstream.port,
    'maxConnections: 1',
    async (proxy) => {
      const from = async (address: string): Promise<RawClient> =>
        (await RawClient.connect(proxy.port)).send(`PROXY TCP4 ${address} 10.0.0.1 4000 80\r\n${get()}`);
      const first = await from('10.1.2.3');
      await first.until(answered);
      const second = await from('10.1.2.3');
      await second.untilClosed();
      assert.equal(second.text, '');
      const other = await from('10.1.2.4');
      await other.until(answered);
      assert.deepEqual(
        proxy.ledger.callers.read(0, 64).map(({ address, connections }) => [address, connections]),
        [
          ['10.1.2.3', 1],
          ['10.1.2.4', 1],
        ],
      );
      first.destroy();
      other.destroy();
    },
    { listener },
  );
});

test('of many refused connections few are recorded, and all are counted', async () => {
  const upstream = await backend();
  await withCallers(upstream.port, 'maxConnections: 1', async (proxy) => {
    const only = await RawClient.connect(proxy.port, POD);
    await only.send(get()).until(answered);
    const refused = await Promise.all(Array.from({ length: 50 }, () => isReset(proxy.port, POD)));
    assert.deepEqual(new Set(refused), new Set([true]));
    assert.equal(caller(proxy, POD).refusedConnections, 50);
    await proxy.recorded();
    const recorded = proxy.decisions.filter(({ code }) => code === 'caller-connections').length;
    assert.ok(recorded >= 1 && recorded <= 20, `${recorded} recorded`);
    only.destroy();
  });
});

test('a request beyond maxRequests is answered with 429, and others of the caller go on', async () => {
  const upstream = await backend();
  await withCallers(upstream.port, 'maxRequests: 2', async (proxy) => {
    const clients = await Promise.all([1, 2, 3].map(() => RawClient.connect(proxy.port, POD)));
    const [first, second, third] = clients as [RawClient, RawClient, RawClient];
    first.send(get('/held'));
    second.send(get('/held'));
    await until(() => upstream.held.length === 2, 'two requests at the endpoint');
    const refused = await third.send(get()).until((text) => text.includes('caller-requests'));
    assert.match(refused, /^HTTP\/1.1 429 /);
    assert.match(refused, /\(RL\)/);
    const decision = await proxy.decision();
    assert.deepEqual(
      [decision.code, decision.flags, decision.limit, decision.limitValue, decision.observedValue],
      ['caller-requests', 'RL', 'callers.maxRequests', 2, 2],
    );
    assert.equal(await isReset(proxy.port, OTHER), false);
    upstream.release();
    await Promise.all([first, second].map((client) => client.until((text) => text.endsWith('ok'))));
    // On the connection that was refused a request.
    await third.send(get()).until((text) => text.endsWith('ok'));
    assert.equal(caller(proxy, POD).refusedRequests, 1);
    for (const client of clients) client.destroy();
  });
});

test('streams of one HTTP/2 connection are requests too, and a gRPC call is told RESOURCE_EXHAUSTED', async () => {
  const upstream = await backend();
  await withCallers(upstream.port, 'maxRequests: 3', async (proxy) => {
    const client = await sessionClient(proxy.port, POD);
    await until(() => !client.session.settling, 'settings');
    const held = [1, 2, 3].map((i) => client.request(`/held/${i}`, null));
    await until(() => upstream.held.length === 3, 'three requests at the endpoint');
    assert.equal((await client.request('/', null)).status, 429);
    const call = await RawClient.connect(proxy.port, POD);
    const grpc =
      'POST /a.B/C HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n';
    assert.match(await call.send(grpc).until(answered), /grpc-status: 8\r\n/);
    upstream.release();
    for (const answer of await Promise.all(held)) assert.equal(answer.status, 200);
    client.close();
    call.destroy();
  });
});

test('limits may change while connections and requests are open', async () => {
  const upstream = await backend();
  const config = (callers: string): string => `${oneService([upstream.port])}callers: { ${callers} }\n`;
  await withProxy(config('maxRequests: 0, maxConnections: 0'), async (proxy) => {
    const at = proxy.port;
    const again = (callers: string): string => config(callers).replace('127.0.0.1:0', `127.0.0.1:${at}`);
    const uncounted = await RawClient.connect(at, POD);
    uncounted.send(get('/held'));
    await until(() => upstream.held.length === 1, 'a request at the endpoint');
    await proxy.reload(again('maxRequests: 1, maxConnections: 1'));
    const refused = await isReset(at, POD);
    assert.equal(refused, true, 'the connection that was open counts');
    const counted = await RawClient.connect(at, OTHER);
    counted.send(get('/held'));
    await until(() => upstream.held.length === 2, 'another request at the endpoint');
    await proxy.reload(
      again('maxRequests: 0, maxConnections: 0, maxBufferedBytes: 0, turn: 0s, offences: off'),
    );
    upstream.release();
    await Promise.all([uncounted, counted].map((client) => client.until((text) => text.endsWith('ok'))));
    assert.equal(await isReset(at, POD), false);
    uncounted.destroy();
    counted.destroy();
  });
});

async function flood(proxy: TestProxy, from: string): Promise<void> {
  const peer = await FramePeer.connectFrom(from, proxy.port);
  for (let i = 0; i < 60 && peer.goaway === ''; i++)
    await peer.sent(Buffer.concat(Array.from({ length: 50 }, () => PING)));
  await until(() => peer.goaway === 'ENHANCE_YOUR_CALM', 'GOAWAY');
  peer.destroy();
}

test('who floods once too often gets no new connection for a while; the one that is open goes on', async () => {
  const upstream = await backend();
  const clock = new MovedClock();
  const callers = 'offences: { burst: 2, refill: 1h, penalty: 30s }';
  await withCallers(
    upstream.port,
    callers,
    async (proxy) => {
      const honest = await RawClient.connect(proxy.port, POD);
      await honest.send(get()).until(answered);
      for (let i = 0; i < 2; i++) await flood(proxy, POD);
      assert.equal(await isReset(proxy.port, POD), false, 'two are forgiven');
      await flood(proxy, POD);
      assert.equal(await isReset(proxy.port, POD), true);
      assert.equal(await isReset(proxy.port, OTHER), false);
      honest.text = '';
      await honest.send(get()).until((text) => text.endsWith('ok'));
      assert.equal(caller(proxy, POD).penalties, 1);
      assert.equal(caller(proxy, POD).offences, 3);
      assert.equal(proxy.listenerCounter('web', 'callerOffences'), 3);
      await proxy.recorded();
      const refusal = proxy.decisions.find(({ code }) => code === 'caller-penalty');
      assert.equal(refusal?.flags, 'RL');
      assert.match(refusal?.cure ?? '', /callers\.offences/);
      clock.advance(30_001);
      assert.equal(await isReset(proxy.port, POD), false, 'the penalty is over');
      honest.destroy();
    },
    { clock },
  );
});

test('a request head that is never completed is an offence, a connection that says nothing is none', async () => {
  const upstream = await backend();
  const clock = new MovedClock();
  await withCallers(
    upstream.port,
    'offences: { burst: 1, refill: 1h, penalty: 1m }',
    async (proxy) => {
      const silent = await RawClient.connect(proxy.port, POD);
      for (let i = 0; i < 2; i++) {
        // What follows a whole request has been read when that is answered.
        const slow = (await RawClient.connect(proxy.port, POD)).send(`${get()}GET / HTTP/1.1\r\nHo`);
        await slow.until((text) => text.endsWith('ok'));
        clock.advance(10_001);
        await slow.until((text) => text.includes('HTTP/1.1 408 '));
        slow.destroy();
        await until(() => caller(proxy, POD).connections === 1, 'the end of it');
      }
      assert.equal(caller(proxy, POD).offences, 2);
      assert.equal(await isReset(proxy.port, POD), true);
      silent.destroy();
    },
    { clock, listener: 'protocol: http' },
  );
});

const ONE_CONNECTION = 'circuitBreaker: { maxConnections: 1, maxPendingRequests: 6 }';

/** Sends each from its own connection, and waits until it waits. */
async function queued(proxy: TestProxy, from: string, paths: readonly string[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const path of paths) {
    const before = proxy.gauge('a', 'pending');
    clients.push((await RawClient.connect(proxy.port, from)).send(get(path)));
    await until(() => proxy.gauge('a', 'pending') > before, `${path} waits`);
  }
  return clients;
}

test('requests that wait for a connection are served caller by caller', async () => {
  const upstream = await backend();
  await withCallers(
    upstream.port,
    '',
    async (proxy) => {
      const busy = (await RawClient.connect(proxy.port, POD)).send(get('/held'));
      await until(() => upstream.held.length === 1, 'the connection is taken');
      const flood = await queued(proxy, POD, ['/a1', '/a2', '/a3', '/a4']);
      const honest = await queued(proxy, OTHER, ['/b1', '/b2']);
      upstream.release();
      const all = [busy, ...flood, ...honest];
      await Promise.all(all.map((client) => client.until((text) => text.endsWith('ok'))));
      assert.deepEqual(upstream.paths, ['/held', '/a1', '/b1', '/a2', '/b2', '/a3', '/a4']);
      for (const client of all) client.destroy();
    },
    { service: ONE_CONNECTION },
  );
});

test('a full queue makes room for a caller with few at the cost of the one with most, and never holds more', async () => {
  const upstream = await backend();
  await withCallers(
    upstream.port,
    '',
    async (proxy) => {
      const busy = (await RawClient.connect(proxy.port, POD)).send(get('/held'));
      await until(() => upstream.held.length === 1, 'the connection is taken');
      const flood = await queued(proxy, POD, ['/a1', '/a2', '/a3', '/a4', '/a5', '/a6']);
      const refused = (await RawClient.connect(proxy.port, POD)).send(get('/a7'));
      await refused.until((text) => text.includes('503 max-pending (UO)'));
      const honest = (await RawClient.connect(proxy.port, OTHER)).send(get('/b1'));
      const last = flood.at(-1) as RawClient;
      await last.until((text) => text.includes('503 max-pending (UO)'));
      const slot = proxy.snapshot.services[0]?.slot as number;
      assert.equal(proxy.gauge('a', 'pending'), 6);
      assert.equal(proxy.ledger.readGauge(slot, 1).highWater, 6);
      upstream.release();
      const served = [busy, ...flood.slice(0, -1), honest];
      await Promise.all(served.map((client) => client.until((text) => text.endsWith('ok'))));
      assert.deepEqual(upstream.paths, ['/held', '/a1', '/b1', '/a2', '/a3', '/a4', '/a5']);
      for (const client of [...flood, ...served, refused]) client.destroy();
    },
    { service: ONE_CONNECTION },
  );
});
