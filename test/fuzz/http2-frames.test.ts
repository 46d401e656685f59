/**
 * Frames that are nearly right, through a whole proxy: from clients, and from endpoints. Whatever comes, nothing is
 * thrown, whole requests are answered, every stream and connection ends, the ledger comes back to zero, and a good client
 * is served. 4 seconds each, or OUTBOARD_FUZZ_SECONDS in all; the seed is the same every time, or OUTBOARD_TEST_SEED.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../codec/http1/random.ts';
import { backend } from '../http2-attacks/kit.ts';
import { FramePeer, frameBackend } from '../http2-attacks/peer.ts';
import {
  ACK,
  answer,
  data,
  END_STREAM,
  frame,
  get,
  PREFACE,
  SETTINGS_ACK,
  settings,
  TYPE,
  windowUpdate,
} from '../kit/frames.ts';
import { sessionClient } from '../kit/http2.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { clientSession, serverAnswer } from './http2-generate.ts';

const SEED = Number(process.env.OUTBOARD_TEST_SEED ?? 1);
const seconds = Number(process.env.OUTBOARD_FUZZ_SECONDS ?? 8) / 2;
/** Sessions at a time. */
const AT_ONCE = 8;

const note = (round: number): string => `round ${round}, OUTBOARD_TEST_SEED=${SEED}`;
const pass = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Writes the frames, cut anywhere. */
async function sendCut(random: Random, peer: FramePeer, frames: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(frames);
  let from = 0;
  for (const cut of [...random.cuts(bytes.length, 6), bytes.length]) {
    peer.send(bytes.subarray(from, cut));
    from = cut;
    if (random.chance(2)) await pass();
  }
}

async function assertGood(proxy: TestProxy, round: number): Promise<void> {
  const client = await sessionClient(proxy.port);
  const { status } = await client.request('/good', null);
  assert.equal(status, 200, note(round));
  client.close();
}

/** All that the round began has ended. */
async function assertOver(proxy: TestProxy, round: number): Promise<void> {
  await until(() => proxy.active === 0, `the end of the requests, ${note(round)}`);
  await until(() => proxy.connections === 0, `the end of the connections, ${note(round)}`);
  await until(() => proxy.gauge('a', 'requests') === 0, `the end of what is counted, ${note(round)}`);
}

async function clientRound(random: Random, proxy: TestProxy, round: number): Promise<void> {
  const isStrange = !random.chance(4);
  const { frames, asked } = clientSession(random, isStrange);
  const peer = await FramePeer.begin(proxy.port);
  await sendCut(random, peer, [PREFACE, settings(), SETTINGS_ACK, ...frames]);
  if (!isStrange) {
    await until(
      () => asked.every((id) => peer.ended(id)),
      `answers to a correct client: ${peer.goawayText}, ${note(round)}`,
    );
    assert.equal(peer.goaway, '', note(round));
  } else if (random.chance(2)) {
    // It reads what there is to read; then it goes.
    for (let i = 0; i < 5; i++) await pass();
  }
  if (random.chance(3)) peer.socket.resetAndDestroy();
  else peer.socket.end();
  await until(() => peer.closed, `the end of a connection, ${note(round)}`);
}

for (const protocol of ['http', 'http2'] as const) {
  test(`clients whose frames are nearly right, before an endpoint of ${protocol} (${seconds / 2} s)`, async (t) => {
    const random = new Random(SEED);
    const upstream = protocol === 'http' ? await backend() : await frameBackend(answerEach);
    // All are one caller here, and none is to be kept out for what another did.
    const config = `${oneService([upstream.port], { service: `protocol: ${protocol}` })}callers: { offences: off }\n`;
    await withProxy(config, async (proxy) => {
      const deadline = performance.now() + seconds * 500;
      let round = 0;
      for (; performance.now() < deadline; round += AT_ONCE) {
        const rounds = Array.from({ length: AT_ONCE }, (_, i) =>
          // Each has randomness of its own: what the others do must not change it.
          clientRound(new Random(random.int(2 ** 31)), proxy, round + i),
        );
        await Promise.all(rounds);
        await assertGood(proxy, round);
        await assertOver(proxy, round);
      }
      t.diagnostic(`${round} connections, seed ${SEED}`);
      assert.ok(round > 0);
      await proxy.recorded();
      assert.ok(proxy.listenerCounter('web', 'downstreamCxProtocolError') > 0);
    });
    await upstream.close();
  });
}

/** A correct endpoint: an answer to each request when it is complete. */
function answerEach(peer: FramePeer): void {
  peer.send(settings());
  peer.onFrame = ({ type, flags, stream, length }) => {
    if (type === TYPE.data && length > 0) peer.send(windowUpdate(0, length));
    if (type === TYPE.settings && flags === 0) peer.send(SETTINGS_ACK);
    else if (type === TYPE.ping && flags === 0) peer.send(frame(TYPE.ping, ACK, 0, Buffer.alloc(8)));
    else if ((type === TYPE.headers || type === TYPE.data) && (flags & END_STREAM) !== 0)
      peer.send(answer(stream), data(stream, 'ok', END_STREAM));
  };
}

test(`endpoints whose answers are nearly right (${seconds} s)`, async (t) => {
  const random = new Random(SEED);
  let good = false;
  const upstream = await frameBackend((peer) => {
    peer.send(settings());
    const own = new Random(random.int(2 ** 31));
    peer.onFrame = ({ type, flags, stream }) => {
      if (type === TYPE.settings && flags === 0) peer.send(SETTINGS_ACK);
      if (type !== TYPE.headers) return;
      if (good) peer.send(answer(stream), data(stream, 'ok', END_STREAM));
      else void sendCut(own, peer, serverAnswer(own, stream));
    };
  });
  await withProxy(oneService([upstream.port], { service: 'protocol: http2' }), async (proxy) => {
    const deadline = performance.now() + seconds * 1_000;
    let round = 0;
    for (; performance.now() < deadline; round += AT_ONCE) {
      good = false;
      const peer = await FramePeer.connect(proxy.port);
      const ids = Array.from({ length: AT_ONCE }, (_, i) => 2 * i + 1);
      peer.send(...ids.map((id) => get(id, '/fuzz')));
      const over = (): boolean => ids.every((id) => peer.ended(id));
      // An answer may lack its end, or wait for a window: then the endpoint goes away.
      for (let i = 0; i < 40 && !over(); i++) await pass();
      for (let i = 0; i < 50 && !over(); i++) {
        for (const one of upstream.peers.splice(0)) one.destroy();
        await new Promise((resolve) => setTimeout(resolve, 2 + i));
      }
      assert.ok(over(), `every request ends, ${note(round)}`);
      assert.equal(peer.goaway, '', note(round));
      peer.destroy();
      for (const one of upstream.peers.splice(0)) one.destroy();
      good = true;
      await pass();
      await until(() => proxy.connections === 0, `the end of the connection, ${note(round)}`);
      await assertGood(proxy, round);
      await assertOver(proxy, round);
    }
    t.diagnostic(`${round} answers, seed ${SEED}`);
    assert.ok(round > 0);
  });
  await upstream.close();
});
