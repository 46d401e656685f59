/** The queue of a listening socket, as the kernel tells it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { acceptQueue, socketInode } from '../../src/base/index.ts';

/** Listens, tells where, and stands still until it is told to go on. */
const STANDS_STILL = `
const { createServer } = require('node:net');
const { fstatSync } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const server = createServer((socket) => socket.on('error', () => {}));
server.listen({ port: 0, host: workerData.host }, () => {
  parentPort.postMessage({ port: server.address().port, inode: fstatSync(server._handle.fd).ino });
  Atomics.wait(workerData.gate, 0, 0);
});
`;

for (const [family, host] of [
  ['IPv4', '127.0.0.1'],
  ['IPv6', '::1'],
] as const) {
  test(`connections that wait to be accepted on ${host} are counted`, {
    skip: process.platform !== 'linux',
  }, async () => {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(STANDS_STILL, { eval: true, workerData: { gate, host } });
    const [{ port, inode }] = (await once(worker, 'message')) as [{ port: number; inode: number }];
    const clients: Socket[] = [];
    for (let i = 0; i < 7; i++) {
      const client = connect(port, host);
      clients.push(client.on('error', () => {}));
      await once(client, 'connect');
    }
    const waiting = acceptQueue(family, inode);
    for (const client of clients) client.destroy();
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    await worker.terminate();
    assert.equal(waiting, 7);
    assert.equal(acceptQueue(family, inode), 0);
  });
}

test('what is no descriptor has no inode', () => {
  assert.equal(socketInode(-1), null);
  assert.equal(socketInode(1_000_000), null);
});
