/** A caller that keeps the worker busy takes turns with others, and loses nothing by it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { helloOf } from '../kit/hello.ts';
import { sessionClient } from '../kit/http2.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService, RawClient } from '../kit/raw.ts';
import { backend, get, OTHER, POD, withCallers } from './callers-kit.ts';
import { ca, TLS, tlsSecrets } from './tls.ts';

test('beside a caller whose connections keep the worker busy another is served soon, and nobody loses an answer', async () => {
  const upstream = await backend();
  const pipelined = 60;
  await withCallers(upstream.port, 'turn: 1ms', async (proxy) => {
    const other = await RawClient.connect(proxy.port, OTHER);
    await other.send(get()).until((text) => text.endsWith('ok'));
    const session = await sessionClient(proxy.port, POD);
    await until(() => !session.session.settling, 'settings');
    const flood = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(proxy.port, POD)));
    for (const client of flood) client.send(get().repeat(pipelined));
    const streams = Array.from({ length: 60 }, (_, i) => session.request(`/${i}`, null));
    const finished = (): number => flood.filter(({ text }) => answersIn(text) === pipelined).length;
    other.text = '';
    await other.send(get()).until((text) => text.endsWith('ok'));
    assert.ok(finished() < flood.length, `${finished()} of ${flood.length} were served before`);
    await until(() => finished() === flood.length, 'all answers');
    for (const { status } of await Promise.all(streams)) assert.equal(status, 200);
    for (const client of [other, ...flood]) client.destroy();
    session.close();
  });
});

function answersIn(text: string): number {
  return text.split('HTTP/1.1 200 OK').length - 1;
}

test('TLS handshakes take turns: beside a caller that sends many hellos at once another is served soon', async () => {
  const upstream = await backend();
  const yaml = `${oneService([upstream.port], { listener: TLS })}callers: { turn: 1ms }\n`;
  await withProxy(
    yaml,
    async (proxy) => {
      const other = await tlsClient(proxy.port, OTHER);
      const ask = async (): Promise<void> => {
        other.text = '';
        await other.send(get()).until((text) => text.endsWith('ok'));
      };
      const hello = (await helloOf({ servername: 'web' })).toString('latin1');
      const flood = await Promise.all(Array.from({ length: 60 }, () => RawClient.connect(proxy.port, POD)));
      await until(() => proxy.connections === flood.length + 1, 'all are accepted');
      await ask();
      for (const client of flood) client.send(hello);
      const greeted = (): number => flood.filter(({ text }) => text !== '').length;
      await ask();
      assert.ok(greeted() < flood.length, `${greeted()} of ${flood.length} were greeted before`);
      await until(() => greeted() === flood.length, 'all are greeted');
      for (const client of [other, ...flood]) client.destroy();
    },
    { secrets: await tlsSecrets() },
  );
});

async function tlsClient(port: number, localAddress: string): Promise<RawClient> {
  const socket = connect({
    socket: dial({ host: '127.0.0.1', port, localAddress }),
    servername: 'web',
    ca: ca.certPem,
  });
  await once(socket, 'secureConnect');
  return new RawClient(socket);
}
