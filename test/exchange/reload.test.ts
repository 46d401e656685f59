/** What a reload leaves alone: requests under way keep what they have, and none is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient, rawBackend } from '../kit/raw.ts';
import { answering, ask, complete, GET, OK } from './answering.ts';

test('a reload that removes the service lets its requests end, and closes its connections', async () => {
  const backend = await rawBackend();
  const other = await answering();
  const port = await freePort();
  const config = (to: number, name: string): string =>
    oneService([to])
      .replace('127.0.0.1:0', `127.0.0.1:${port}`)
      .replaceAll('name: a ', `name: ${name} `)
      .replace('- name: a\n    endpoints', `- name: ${name}\n    endpoints`);
  await withProxy(config(backend.port, 'a'), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    await proxy.reload(config(other.port, 'b'));
    assert.deepEqual(
      proxy.snapshot.services.map(({ name }) => name),
      ['b'],
    );
    assert.match(await ask(proxy), /ok$/);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    await upstream.untilEnd();
    upstream.socket.end();
    assert.equal(other.accepted.length, 1);
    client.text = '';
    await client.send(GET).until((t) => t.endsWith('ok'));
    await until(() => proxy.gauge('a', 'connections') === 0, 'the slot comes back');
    client.destroy();
  });
  await backend.close();
  await other.close();
});

test('a reload that removes an endpoint lets its requests end; new ones go elsewhere', async () => {
  const leaving = await rawBackend();
  const staying = await answering();
  const port = await freePort();
  const config = (ports: number[]): string => oneService(ports).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config([leaving.port]), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await leaving.connection(0);
    await upstream.until(complete);
    await proxy.reload(config([staying.port]));
    for (let i = 0; i < 5; i++) assert.match(await ask(proxy), /ok$/);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    await upstream.untilEnd();
    assert.equal(leaving.accepted.length, 1);
    client.destroy();
  });
  await leaving.close();
  await staying.close();
});

test('an idle connection to a removed endpoint is closed at once', async () => {
  const leaving = await answering();
  const staying = await answering();
  const port = await freePort();
  const config = (ports: number[]): string => oneService(ports).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config([leaving.port]), async (proxy) => {
    await ask(proxy);
    await proxy.reload(config([staying.port]));
    await (leaving.accepted[0] as RawClient).untilEnd();
    assert.match(await ask(proxy), /ok$/);
  });
  await leaving.close();
  await staying.close();
});

test('a reload changes routes for the next request on a connection, not for the one under way', async () => {
  const first = await rawBackend();
  const second = await answering('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond');
  const port = await freePort();
  const config = (to: number): string => oneService([to]).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config(first.port), async (proxy) => {
    const client = (await RawClient.connect(proxy.port)).send(GET);
    const upstream = await first.connection(0);
    await upstream.until(complete);
    await proxy.reload(config(second.port));
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    await client.send(GET).until((t) => t.endsWith('second'));
    client.destroy();
  });
  await first.close();
  await second.close();
});

test('a listener that moves to another port ends what it has begun, with Connection: close', async () => {
  const backend = await rawBackend();
  await withProxy(oneService([backend.port]), async (proxy) => {
    const old = proxy.port;
    const idle = await RawClient.connect(old);
    const busy = (await RawClient.connect(old)).send(GET);
    const upstream = await backend.connection(0);
    await upstream.until(complete);
    await proxy.reload(oneService([backend.port]));
    await idle.untilEnd();
    assert.deepEqual([idle.text, idle.error], ['', null]);
    upstream.send(OK);
    assert.match(await busy.untilEnd(), /\r\nconnection: close\r\n.*ok$/is);
    await assert.rejects(RawClient.connect(old), { code: 'ECONNREFUSED' });
    const moved = proxy.snapshot.listeners[0]?.port as number;
    upstream.text = '';
    const client = (await RawClient.connect(moved)).send(GET);
    await upstream.until(complete);
    upstream.send(OK);
    await client.until((t) => t.endsWith('ok'));
    for (const end of [idle, busy, client]) end.destroy();
  });
  await backend.close();
});

test('reloads in a row under load lose no request', async () => {
  const backends = await Promise.all(
    Array.from({ length: 3 }, () => httpBackend((_, response) => setImmediate(() => response.end('ok')))),
  );
  const port = await freePort();
  const config = (round: number): string =>
    oneService(
      backends.filter((_, i) => (i + round) % 3 !== 0).map((backend) => backend.port),
      {
        rule: 'retry: { attempts: 0 }',
        service: `loadBalancer: { policy: ${round % 2 === 0 ? 'round-robin' : 'least-request'} }`,
      },
    ).replace('127.0.0.1:0', `127.0.0.1:${port}`);
  await withProxy(config(0), async (proxy) => {
    let ending = false;
    let served = 0;
    const clients = Array.from({ length: 8 }, async () => {
      const client = await RawClient.connect(port);
      while (!ending) {
        client.text = '';
        const text = await client.send(GET).until((t) => /ok$|\nrequest \S+\n$/.test(t));
        assert.match(text, /^HTTP\/1\.1 200 /);
        served++;
      }
      client.destroy();
    });
    for (let round = 1; round <= 50; round++) {
      const before = served;
      await proxy.reload(config(round));
      await until(() => served > before, 'requests are served');
    }
    ending = true;
    await Promise.all(clients);
    await proxy.recorded();
    assert.deepEqual(proxy.decisions, []);
  });
  for (const backend of backends) await backend.close();
});
