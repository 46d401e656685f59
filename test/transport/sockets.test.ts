/** Reading into the thread's one buffer, and gathering on the way out. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { copyChunk, readInto, SocketOut } from '../../src/dataplane/transport/index.ts';
import { isBorrowed, readBuffer } from '../../src/dataplane/transport/read-into.ts';

interface Pair {
  readonly client: Socket;
  readonly accepted: Socket;
}

async function pair(t: TestContext): Promise<Pair> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1' });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { client, accepted };
}

/** Everything up to the other side's end. */
async function all(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

test('an accepted socket reads into the shared buffer, and pauses and ends as ever', async (t) => {
  const { client, accepted } = await pair(t);
  const seen: Buffer[] = [];
  let borrowed = 0;
  const ended = once(accepted, 'end');
  let arrived = (): void => {};
  readInto(accepted, (length, bytes) => {
    if (isBorrowed(bytes as Buffer)) borrowed++;
    seen.push(Buffer.from(bytes.subarray(0, length)));
    arrived();
  });
  accepted.resume();
  const first = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  client.write('one');
  await first;
  assert.equal(borrowed, seen.length, 'Node no longer keeps onread where read-into.ts looks for it');
  accepted.pause();
  client.end('two');
  accepted.resume();
  await ended;
  assert.equal(Buffer.concat(seen).toString(), 'onetwo');
});

test('what was given back to a socket comes first', async (t) => {
  const { client, accepted } = await pair(t);
  client.end('second');
  accepted.unshift(Buffer.from('first '));
  let seen = '';
  readInto(accepted, (length, bytes) => {
    seen += Buffer.from(bytes.subarray(0, length)).toString();
  });
  accepted.resume();
  await once(accepted, 'end');
  assert.equal(seen, 'first second');
});

test('views of the read buffer go out in order with text and with chunks of their own', async (t) => {
  const { client, accepted } = await pair(t);
  const out = new SocketOut(accepted);
  const received = all(client);
  const expected: Buffer[] = [];
  const borrow = (length: number, fill: number): void => {
    const view = readBuffer().subarray(0, length).fill(fill);
    expected.push(Buffer.from(view));
    out.writeBytes(view);
    view.fill(0xff);
  };
  const text = (latin1: string): void => {
    expected.push(Buffer.from(latin1, 'latin1'));
    out.writeText(latin1);
  };
  text('head');
  for (let i = 0; i < 9; i++) borrow(16_384, i);
  text('\r\n');
  borrow(20_000, 10);
  borrow(65_536, 11);
  const own = copyChunk(Buffer.alloc(40_000, 12));
  expected.push(Buffer.from(own));
  out.writeBytes(own);
  borrow(9_000, 13);
  text('tail');
  out.flush();
  accepted.end();
  assert.ok((await received).equals(Buffer.concat(expected)));
});

test('gathered bytes go out by themselves when the pass of the loop ends', async (t) => {
  const { client, accepted } = await pair(t);
  new SocketOut(accepted).writeBytes(readBuffer().subarray(0, 10_000).fill(1));
  let length = 0;
  while (length < 10_000) length += ((await once(client, 'data')) as [Buffer])[0].length;
  assert.equal(length, 10_000);
});
