/** The steps of the overload manager, through the whole proxy. The test says how full the node's memory is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { test } from 'node:test';
import type { OverloadAction } from '../../src/ledger/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { RawClient } from '../kit/raw.ts';
import { headStatus, makeCall } from './grpc-calls.ts';

const ASK = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

const answer = 'filters: [{ type: DirectResponse, directResponse: { statusCode: 200, body: ok } }]';

/** Answers itself: what is refused is refused before any service is looked for. */
const config = (more = ''): string => `
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes:
  - name: r
    rules:
      - { name: first, priority: high, matches: [{ path: { value: /high } }], ${answer} }
      - { name: last, priority: low, matches: [{ path: { value: /low } }], ${answer} }
      - { name: rest, ${answer} }
overloadManager:
  refreshInterval: 50ms
  resourceMonitors: { heap: { enabled: false }, eventLoop: { enabled: false } }
  ${more}
`;

/** Sets the pressure and waits until the action has got where that leads. */
async function pressed(
  proxy: TestProxy,
  pressure: number,
  action: OverloadAction,
  state: (state: number) => boolean,
): Promise<void> {
  proxy.ledger.overload.setPressure('memory', pressure);
  await until(() => state(proxy.ledger.overload.action(0, action)), `${action} at ${pressure}`);
}

/** A whole answer has come. */
function complete(text: string): boolean {
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text);
  return length !== null && text.length >= text.indexOf('\r\n\r\n') + 4 + Number(length[1]);
}

async function statuses(client: RawClient, path: string, count: number): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    client.text = '';
    client.send(ASK(path));
    const text = await client.until(complete);
    found.set(text.slice(9, 12), (found.get(text.slice(9, 12)) ?? 0) + 1);
  }
  return found;
}

const REFUSING = 'actions: { disableHttpKeepalive: [], rejectIncomingConnections: [] }';

test('requests are refused in proportion, lowest priority first, high never', async () => {
  await withProxy(config(REFUSING), async (proxy) => {
    const client = await RawClient.connect(proxy.port);
    const refused = async (path: string): Promise<number> =>
      (await statuses(client, path, 200)).get('503') ?? 0;
    assert.equal(await refused('/low'), 0);
    // A quarter of the way from 85 to 98 %: half of those with low priority.
    await pressed(proxy, 0.8825, 'stopAcceptingRequests', (state) => Math.abs(state - 0.25) < 0.01);
    const low = await refused('/low');
    assert.ok(low > 60 && low < 140, `${low} of 200`);
    assert.equal(await refused('/'), 0);
    // Three quarters: all of them, and half of the default.
    await pressed(proxy, 0.9475, 'stopAcceptingRequests', (state) => Math.abs(state - 0.75) < 0.01);
    assert.equal(await refused('/low'), 200);
    const rest = await refused('/');
    assert.ok(rest > 60 && rest < 140, `${rest} of 200`);
    assert.equal(await refused('/high'), 0);
    await pressed(proxy, 1.2, 'stopAcceptingRequests', (state) => state === 1);
    assert.equal(await refused('/'), 200);
    assert.equal(await refused('/high'), 0);
    await pressed(proxy, 0.5, 'stopAcceptingRequests', (state) => state === 0);
    assert.equal(await refused('/low'), 0);
    client.destroy();
  });
});

test('a refusal says what it is, in every place', async () => {
  await withProxy(config(REFUSING), async (proxy) => {
    await pressed(proxy, 0.99, 'stopAcceptingRequests', (state) => state === 1);
    const client = await RawClient.connect(proxy.port);
    client.send(ASK('/'));
    const text = await client.until((all) => all.includes('overload (OM)'));
    assert.match(text, /^HTTP\/1\.1 503 /);
    assert.match(text, /\r\nx-envoy-local-overloaded: true\r\n/);
    const { verdict, flags, code, limit, limitValue, observedValue, rule } = await proxy.decision();
    assert.deepEqual(
      [verdict, flags, code, limit, limitValue, observedValue, rule],
      ['refused', 'OM', 'overload', 'overloadManager.memory', 100, 99, 'rest'],
    );
    client.destroy();
    assert.deepEqual(headStatus(await makeCall(proxy)), [200, '14', '']);
  });
});

test('connections are not kept alive, over HTTP/1 and HTTP/2', async () => {
  const more = 'actions: { stopAcceptingRequests: [], rejectIncomingConnections: [] }';
  await withProxy(config(more), async (proxy) => {
    const kept = await RawClient.connect(proxy.port);
    await statuses(kept, '/', 1);
    const session = connect(`http://127.0.0.1:${proxy.port}`);
    session.on('error', () => {});
    await once(session, 'connect');
    await pressed(proxy, 0.86, 'disableHttpKeepalive', (state) => state === 1);
    kept.text = '';
    kept.send(ASK('/'));
    assert.match(await kept.untilEnd(), /\r\nconnection: close\r\n/i);
    const gone = once(session, 'goaway');
    const stream = session.request({ ':path': '/' });
    const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
    assert.equal(head[':status'], 200, 'the request on it is answered');
    stream.resume();
    await gone;
    kept.destroy();
    session.destroy();
    // Within five points of the threshold it stays as it is.
    proxy.ledger.overload.setPressure('memory', 0.82);
    await pressed(proxy, 0.82, 'reduceTimeouts', (state) => state > 0.4 && state < 0.5);
    assert.equal(proxy.ledger.overload.action(0, 'disableHttpKeepalive'), 1);
    await pressed(proxy, 0.79, 'disableHttpKeepalive', (state) => state === 0);
  });
});

test('idle connections close sooner, also those that are idle already', async () => {
  const more = 'minIdleTimeout: 100ms\n  actions: { disableHttpKeepalive: [], stopAcceptingRequests: [] }';
  await withProxy(config(more), async (proxy) => {
    const silent = await RawClient.connect(proxy.port);
    const used = await RawClient.connect(proxy.port);
    const session = connect(`http://127.0.0.1:${proxy.port}`);
    session.on('error', () => {});
    await once(session, 'connect');
    await statuses(used, '/', 1);
    const closed = once(session, 'close');
    // With the usual idle timeout this would take five minutes.
    await pressed(proxy, 0.9, 'reduceTimeouts', (state) => state === 1);
    await Promise.all([silent.untilEnd(), used.untilEnd(), closed]);
    silent.destroy();
    used.destroy();
    await pressed(proxy, 0, 'reduceTimeouts', (state) => state === 0);
    const later = await RawClient.connect(proxy.port);
    await statuses(later, '/', 2);
    later.destroy();
  });
});

test('new connections are closed at once, and old ones go on', async () => {
  const more = 'actions: { disableHttpKeepalive: [], stopAcceptingRequests: [] }';
  await withProxy(config(more), async (proxy) => {
    const old = await RawClient.connect(proxy.port);
    await statuses(old, '/', 1);
    await pressed(proxy, 0.96, 'rejectIncomingConnections', (state) => state === 1);
    for (let i = 0; i < 5; i++) {
      const client = await RawClient.connect(proxy.port);
      client.send(ASK('/'));
      assert.equal(await client.untilEnd(), '');
      client.destroy();
    }
    assert.equal(proxy.listenerCounter('web', 'downstreamCxOverloadReject'), 5);
    assert.equal((await statuses(old, '/', 3)).get('200'), 3);
    await pressed(proxy, 0.5, 'rejectIncomingConnections', (state) => state === 0);
    const client = await RawClient.connect(proxy.port);
    await statuses(client, '/', 1);
    client.destroy();
    old.destroy();
  });
});

test('of a range, a share of the new connections is closed', async () => {
  const more =
    'actions: { rejectIncomingConnections: [{ name: memory, scaled: { scalingThreshold: 50%, saturationThreshold: 100% } }], disableHttpKeepalive: [], stopAcceptingRequests: [] }';
  await withProxy(config(more), async (proxy) => {
    await pressed(proxy, 0.75, 'rejectIncomingConnections', (state) => state === 0.5);
    for (let i = 0; i < 100; i++) {
      const client = await RawClient.connect(proxy.port);
      client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      await client.untilEnd();
      client.destroy();
    }
    const closed = proxy.listenerCounter('web', 'downstreamCxOverloadReject');
    assert.ok(closed > 25 && closed < 75, `${closed} of 100`);
  });
});

test('a worker that stops to listen refuses new connections, and listens again on its port', async () => {
  const more =
    'actions: { stopAcceptingConnections: [{ name: memory, threshold: 90% }], disableHttpKeepalive: [], stopAcceptingRequests: [], rejectIncomingConnections: [] }';
  await withProxy(config(more), async (proxy) => {
    const old = await RawClient.connect(proxy.port);
    await statuses(old, '/', 1);
    await pressed(proxy, 0.92, 'stopAcceptingConnections', (state) => state === 1);
    await assert.rejects(RawClient.connect(proxy.port), { code: 'ECONNREFUSED' });
    assert.equal(proxy.listenerCounter('web', 'downstreamCxStopsAccepting'), 1);
    assert.equal((await statuses(old, '/', 3)).get('200'), 3);
    await pressed(proxy, 0.5, 'stopAcceptingConnections', (state) => state === 0);
    const client = await RawClient.connect(proxy.port);
    await statuses(client, '/', 1);
    client.destroy();
    old.destroy();
  });
});

test('a worker that does not listen drains as any other', async () => {
  const more =
    'actions: { stopAcceptingConnections: [{ name: memory, threshold: 90% }], disableHttpKeepalive: [], stopAcceptingRequests: [], rejectIncomingConnections: [] }';
  await withProxy(config(more), async (proxy) => {
    await pressed(proxy, 0.92, 'stopAcceptingConnections', (state) => state === 1);
    assert.equal(await proxy.drain(1_000), 0);
    await assert.rejects(RawClient.connect(proxy.port), { code: 'ECONNREFUSED' });
  });
});

test('the queue of those that wait to be accepted is reset, and those that come then are taken', async () => {
  const more =
    'actions: { resetAcceptQueue: [{ name: memory, threshold: 90% }], disableHttpKeepalive: [], stopAcceptingRequests: [], rejectIncomingConnections: [] }';
  const unmeasured = config(more).replace('eventLoop:', 'acceptQueue: { enabled: false }, eventLoop:');
  await withProxy(unmeasured, async (proxy) => {
    const old = await RawClient.connect(proxy.port);
    await pressed(proxy, 0.92, 'resetAcceptQueue', (state) => state === 1);
    await until(() => proxy.listenerCounter('web', 'downstreamCxStopsAccepting') > 0, 'a new socket');
    await pressed(proxy, 0, 'resetAcceptQueue', (state) => state === 0);
    const client = await RawClient.connect(proxy.port);
    await statuses(client, '/', 1);
    assert.equal((await statuses(old, '/', 1)).get('200'), 1);
    client.destroy();
    old.destroy();
  });
});

test('a manager that is taken out of the configuration leaves nothing behind', async () => {
  const text = config(REFUSING);
  await withProxy(text, async (proxy) => {
    await pressed(proxy, 0.99, 'stopAcceptingRequests', (state) => state === 1);
    const without = text.slice(0, text.indexOf('overloadManager')).replace(':0', `:${proxy.port}`);
    await proxy.reload(without);
    const client = await RawClient.connect(proxy.port);
    assert.equal((await statuses(client, '/low', 3)).get('200'), 3);
    assert.equal(proxy.ledger.overload.action(0, 'stopAcceptingRequests'), 0);
    client.destroy();
  });
});
