/** Large amounts both ways: nothing is lost or exchanged, and a reader that stops holds its sender up, not the proxy's memory. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { until, withProxy } from '../kit/proxy.ts';
import { rawBackend } from '../kit/raw.ts';
import { tcpService } from './kit.ts';

const MIB = 1024 * 1024;
const TOTAL = 100 * MIB;
const STALLED = 150 * MIB;
/** More than the kernel keeps for the sockets of two hops. */
const HELD_MAX = 80 * MIB;
/** What the proxy may hold of one direction: two high-water marks, two reads, and slack. */
const MEMORY_MAX = 12 * MIB;

/** Different in every part, so that a lost, doubled or exchanged one changes the sum. */
function pour(to: Socket, name: string, bytes: number): { sent: number; readonly sum: Promise<string> } {
  const hash = createHash('sha1');
  const part = Buffer.alloc(MIB - 1, name);
  const state = { sent: 0, sum: Promise.resolve('') };
  state.sum = new Promise((resolve) => {
    const more = (): void => {
      while (state.sent < bytes) {
        const chunk = Buffer.from(part.subarray(0, Math.min(part.length, bytes - state.sent)));
        if (chunk.length > 4) chunk.writeUInt32BE(state.sent, 0);
        hash.update(chunk);
        state.sent += chunk.length;
        if (!to.write(chunk)) return;
      }
      to.removeListener('drain', more);
      to.end();
      resolve(hash.digest('hex'));
    };
    to.on('drain', more);
    more();
  });
  return state;
}

function drink(from: Socket): Promise<string> {
  const hash = createHash('sha1');
  from.on('data', (chunk: Buffer) => hash.update(chunk));
  return new Promise((resolve) => from.on('end', () => resolve(hash.digest('hex'))));
}

function client(port: number): Socket {
  return connect({ host: '127.0.0.1', port, allowHalfOpen: true });
}

test('100 MB both ways at once, compared by hash', async () => {
  const arrived = Promise.withResolvers<Socket>();
  const backend = await rawBackend((upstream) => {
    upstream.socket.removeAllListeners('data');
    arrived.resolve(upstream.socket);
  });
  await withProxy(tcpService([backend.port]), async (proxy) => {
    const near = client(proxy.port);
    const far = await arrived.promise;
    const heard = [drink(near), drink(far)];
    const said = [pour(far, 'to the client', TOTAL).sum, pour(near, 'to the endpoint', TOTAL).sum];
    assert.deepEqual(await Promise.all(heard), await Promise.all(said));
    await until(() => proxy.active === 0, 'it is over');
  });
  await backend.close();
});

for (const reader of ['client', 'endpoint'] as const) {
  test(`the ${reader} stops reading: the other side is held up, memory stays bounded, then all of it arrives`, async () => {
    const arrived = Promise.withResolvers<Socket>();
    const backend = await rawBackend((upstream) => {
      upstream.socket.removeAllListeners('data');
      upstream.socket.pause();
      arrived.resolve(upstream.socket);
    });
    await withProxy(tcpService([backend.port]), async (proxy) => {
      const near = client(proxy.port);
      near.pause();
      const far = await arrived.promise;
      const [from, to] = reader === 'client' ? [far, near] : [near, far];
      const before = held();
      const pouring = pour(from, 'held', STALLED);
      await standstill(() => from.bytesWritten - from.writableLength);
      const taken = from.bytesWritten - from.writableLength;
      assert.ok(taken < HELD_MAX, `it was held up after ${taken / MIB} MiB`);
      await until(() => held() - from.writableLength < before + MEMORY_MAX, 'the proxy holds little');
      const heard = drink(to);
      to.resume();
      assert.equal(await heard, await pouring.sum);
      to.end();
      from.resume();
      await until(() => proxy.active === 0, 'it is over');
    });
    await backend.close();
  });
}

/** Resolves when the value has not changed for a while. */
async function standstill(value: () => number): Promise<void> {
  let last = -1;
  let since = performance.now();
  await until(() => {
    if (value() !== last) since = performance.now();
    last = value();
    return last > 0 && performance.now() - since > 150;
  }, 'a standstill');
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of buffers in use. */
function held(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}
