/**
 * node:http2 at the other end of a real socket, in both roles: header blocks of seeded random fields go both ways,
 * with tables of changing sizes, and each side reads what the other wrote.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import * as h2 from '../../../src/dataplane/codec/http2/index.ts';
import { Random, SEED } from '../http1/random.ts';
import { FrameRecorder } from './replay-frames.ts';

type Pair = readonly [name: string, value: string];
const SEEDED = `OUTBOARD_TEST_SEED=${SEED}`;
const REQUESTS = 200;
const OPTIONS = { frameBytes: 16_384, blockBytes: 65_536, continuations: 16 } as const;
const LIMITS = { listBytes: 65_536, fieldCount: 200 } as const;

/** One side of a connection made of nothing but the codec; answers SETTINGS, and hands over header blocks. */
class Side extends FrameRecorder {
  readonly encoder = new h2.HpackEncoder();
  readonly decoder = new h2.HpackDecoder(LIMITS, 4_096);
  readonly out = new h2.OutBuffer();
  onBlock: (streamId: number, block: h2.HeaderBlock, endStream: boolean) => void = () => {};
  private readonly socket: Socket;

  constructor(socket: Socket, preface: boolean) {
    super();
    this.socket = socket;
    const reader = new h2.FrameReader(this, { ...OPTIONS, preface });
    socket.on('data', (bytes: Buffer) => {
      assert.ok(reader.execute(bytes, 0, bytes.length) >= 0, JSON.stringify(reader.error));
      this.flush();
    });
  }

  flush(): void {
    if (this.out.length > 0) this.socket.write(this.out.take());
  }

  headers(streamId: number, write: () => void, endStream: boolean): void {
    const start = h2.beginHeaders(this.out);
    this.encoder.begin(this.out);
    write();
    this.encoder.end();
    h2.endHeaders(this.out, start, streamId, endStream, 16_384);
  }

  override onSettings(settings: h2.SettingsValues): void {
    if (settings.headerTableSize >= 0) {
      this.encoder.setPeerTableSize(settings.headerTableSizeLowest);
      this.encoder.setPeerTableSize(settings.headerTableSize);
    }
    h2.writeSettingsAck(this.out);
  }

  override onHeaders(
    streamId: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    fault: h2.FrameError | null,
  ): void {
    assert.equal(fault, null);
    const block = this.decoder.decode(bytes, start, end);
    assert.ok(block !== null, `${this.decoder.error}; ${SEEDED}`);
    this.onBlock(streamId, block, endStream);
  }
}

test('requests to a node:http2 server, and its answers', async () => {
  const random = new Random(SEED);
  const lists = Array.from({ length: REQUESTS }, () => randomFields(random));
  const answers = Array.from({ length: REQUESTS }, () => randomFields(random));
  const server = http2.createServer({ settings: { headerTableSize: random.pick([0, 100, 4_096, 65_536]) } });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers, _flags, raw) => {
    const at = Number(headers[':path']?.slice(1));
    assert.equal(headers[':method'], 'GET');
    assert.deepEqual(
      pairsOf(raw).filter(([name]) => !name.startsWith(':')),
      lists[at],
      `${at}; ${SEEDED}`,
    );
    stream.respond([':status', '200', ...(answers[at] as Pair[]).flat()], { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  const side = new Side(socket, false);
  await new Promise<void>((resolve) => {
    let next = 0;
    const send = (): void => {
      for (const until = Math.min(next + 10, REQUESTS); next < until; next++) {
        side.headers(
          2 * next + 1,
          () => {
            side.encoder.request('GET', 'http', 'shop.example', `/${next}`, '');
            for (const [name, value] of lists[next] as Pair[]) side.encoder.field(name, value);
          },
          true,
        );
      }
      side.flush();
    };
    let answered = 0;
    side.onBlock = (streamId, block, endStream) => {
      const at = (streamId - 1) / 2;
      assert.equal(h2.responseFault(block), '');
      assert.equal(block.status, 200);
      assert.ok(endStream);
      assert.deepEqual(
        fieldsOf(block).filter(([name]) => name !== 'date'),
        answers[at],
        `${at}; ${SEEDED}`,
      );
      if (++answered === REQUESTS) resolve();
      else if (answered === next) send();
    };
    h2.writePreface(side.out);
    h2.writeSettings(side.out, [h2.SETTING.enablePush, 0]);
    send();
  });
  socket.destroy();
  server.close();
});

test('requests of a node:http2 client, and our answers', async () => {
  const random = new Random(SEED);
  const lists = Array.from({ length: REQUESTS }, () => randomFields(random));
  const answers = Array.from({ length: REQUESTS }, () => randomFields(random));
  const server = net.createServer((socket) => {
    const side = new Side(socket, true);
    h2.writeSettings(side.out, [h2.SETTING.maxConcurrentStreams, 100]);
    side.onBlock = (streamId, block) => {
      assert.equal(h2.requestFault(block), '');
      const at = Number(block.pseudo.path?.slice(1));
      assert.deepEqual(fieldsOf(block), lists[at], `${at}; ${SEEDED}`);
      side.headers(
        streamId,
        () => {
          side.encoder.status(at % 3 === 0 ? 200 : 200 + at);
          for (const [name, value] of answers[at] as Pair[]) side.encoder.field(name, value);
        },
        true,
      );
    };
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (let at = 0; at < REQUESTS; at += 10) {
    if (random.chance(4)) client.settings({ headerTableSize: random.pick([0, 64, 300, 4_096]) });
    const asked = Array.from({ length: 10 }, async (_, i) => {
      const stream = client.request([':path', `/${at + i}`, ...(lists[at + i] as Pair[]).flat()]);
      stream.end();
      stream.resume();
      const [headers, , raw] = (await once(stream, 'response')) as [
        http2.IncomingHttpHeaders,
        number,
        string[],
      ];
      assert.equal(Number(headers[':status']), (at + i) % 3 === 0 ? 200 : 200 + at + i);
      const got = pairsOf(raw).filter(([name]) => name !== ':status');
      assert.deepEqual(got, answers[at + i], `${at + i}; ${SEEDED}`);
    });
    await Promise.all(asked);
  }
  client.destroy();
  server.close();
});

function fieldsOf(block: h2.HeaderBlock): Pair[] {
  const pairs: Pair[] = [];
  block.takeHeaders().forEach((name, value) => {
    pairs.push([name, value]);
  });
  return pairs;
}

function pairsOf(raw: readonly string[]): Pair[] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] as string, raw[2 * i + 1] as string]);
}

/** Names that either side may send more than once, and does index or doesn't. */
function randomFields(random: Random): Pair[] {
  const names = ['x-a', 'x-b', 'x-request-id', 'accept-language', 'via', 'cache-control', 'traceparent'];
  const pairs: Pair[] = [];
  for (let i = random.int(12); i > 0; i--) {
    const name = random.chance(5) ? `n-${random.int(500)}` : random.pick(names);
    let value = 'v';
    for (let j = random.int(random.chance(10) ? 1_500 : 25); j > 0; j--)
      value += String.fromCharCode(0x21 + random.int(94));
    pairs.push([name, random.chance(2) ? `v${random.int(3)}` : value]);
  }
  return pairs;
}
