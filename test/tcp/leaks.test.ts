/** Connections opened and thrown away, in every state, and garbage of every kind: nothing is left of them. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { helloOf } from '../kit/hello.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { type RawBackend, rawBackend } from '../kit/raw.ts';
import { endpointsOf, seeded, tcpService } from './kit.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const seed = Date.now() >>> 0;
const random = seeded(seed);

/** How a client that means no good ends; resolves when its descriptor is closed. */
function rude(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const way = random(4);
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('data', () => {
      if (way === 3) socket.destroy();
    });
    socket.on('connect', () => {
      if (bytes.length > 0) socket.write(bytes);
      if (way === 0) socket.resetAndDestroy();
      else if (way === 1) socket.end();
      else if (way === 2) setImmediate(() => socket.resetAndDestroy());
      else if (bytes.length === 0) socket.destroy();
      else setTimeout(() => socket.destroy(), random(5)); // it may be that nothing answers
    });
  });
}

async function rush(proxy: TestProxy, port: number, total: number, said: () => Buffer): Promise<void> {
  let left = total;
  const one = async (): Promise<void> => {
    while (left-- > 0) await rude(port, said());
  };
  await Promise.all(Array.from({ length: 100 }, one));
  await until(() => proxy.active === 0 && proxy.connections === 0, `seed ${seed}: all are over`);
}

/** Ends what the proxy has ended long ago, which an endpoint that does not read can't know. */
function forget(backend: RawBackend): void {
  for (const upstream of backend.accepted.splice(0)) upstream.destroy();
}

test('10,000 connections opened, and reset or closed in all ways, leave nothing', async () => {
  const backend = await rawBackend((upstream, index) => {
    const way = index % 5;
    if (way === 0) upstream.send('hello');
    else if (way === 1) upstream.socket.resetAndDestroy();
    else if (way === 2) upstream.socket.end('bye');
    else if (way === 3) upstream.socket.pause();
    upstream.socket.on('end', () => upstream.socket.end());
  });
  // An endpoint that reads nothing hears of no end: only the idle limit ends a connection to it.
  const listener = 'timeouts: { tunnelIdle: 50ms }';
  const service = 'circuitBreaker: { maxConnections: 40, maxPendingRequests: 20 }';
  await withProxy(tcpService([backend.port], { listener, service }), async (proxy) => {
    const said = (): Buffer => Buffer.alloc(random(3) === 0 ? 0 : random(300), 'x');
    await rush(proxy, proxy.port, 500, said);
    forget(backend);
    collect();
    const before = process.memoryUsage();
    await rush(proxy, proxy.port, 10_000, said);
    const slot = proxy.snapshot.services[0]?.slot as number;
    assert.ok(proxy.ledger.readGauge(slot, 0).highWater <= 40);
    await until(() => proxy.gauge('a', 'connections') === 0, 'every slot came back');
    assert.equal(proxy.armedTimers, 0, `seed ${seed}`);
    forget(backend);
    proxy.decisions.length = 0;
    await until(() => {
      collect();
      const now = process.memoryUsage();
      return now.arrayBuffers < before.arrayBuffers + 2e6 && now.heapUsed < before.heapUsed + 8e6;
    }, `seed ${seed}: memory is as it was`);
  });
  await backend.close();
});

test('garbage at every kind of listener: each byte is read or refused, and nothing stays', async () => {
  const backend = await rawBackend((upstream) => {
    upstream.socket.on('data', (chunk: Buffer) => upstream.socket.write(chunk));
    upstream.socket.on('end', () => upstream.socket.end());
  });
  const config = `
listeners:
  - { name: pass, address: 127.0.0.1:0, protocol: tls, timeouts: { header: 100ms } }
  - { name: both, address: 127.0.0.1:0, timeouts: { header: 100ms, detect: 5ms, idle: 100ms } }
  - { name: tls, address: 127.0.0.1:0, timeouts: { header: 100ms, idle: 100ms } }
tlsRoutes:
  - { name: a, parentRefs: [{ sectionName: pass }, { sectionName: both }, { sectionName: tls }], hostnames: ["*.shop"], backendRefs: [{ name: a }] }
tcpRoutes:
  - { name: rest, parentRefs: [{ sectionName: both }], backendRefs: [{ name: a }] }
services:
  - { name: a, endpoints: ${endpointsOf([backend.port])} }
`;
  const starts = [
    await helloOf({ servername: 'a.shop' }),
    await helloOf({ servername: 'a.mall' }),
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.alloc(0),
  ];
  const said = (): Buffer => {
    const start = starts[random(starts.length)] as Buffer;
    const bytes = Buffer.concat([start.subarray(0, random(start.length + 1)), Buffer.alloc(random(40))]);
    for (let n = random(4); n > 0 && bytes.length > 0; n--) bytes[random(bytes.length)] = random(256);
    return bytes;
  };
  await withProxy(config, async (proxy) => {
    for (const port of proxy.ports.values()) await rush(proxy, port, 700, said);
    assert.equal(proxy.armedTimers, 0, `seed ${seed}`);
  });
  await backend.close();
});
