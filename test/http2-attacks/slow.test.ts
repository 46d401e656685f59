/**
 * Clients that take their time (slowloris): over the preface, their SETTINGS, the acknowledgement of ours, a header block,
 * a body. Each has as long as the limits say, whatever comes meanwhile, and no longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import {
  continuation,
  data,
  END_STREAM,
  field,
  frame,
  headers,
  OPEN,
  PING,
  PREFACE,
  post,
  requestBlock,
  SETTINGS_ACK,
  settings,
} from '../kit/frames.ts';
import { until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';
import { assertRecorded, backend, besides, MovedClock, turn } from './kit.ts';
import { FramePeer } from './peer.ts';

const EMPTY = Buffer.alloc(0);

interface Slow {
  readonly name: string;
  /** The listener's protocol: told apart by the first bytes, or HTTP/2 from the start. */
  readonly protocol: 'auto' | 'http2';
  /** What comes; then nothing, or a piece now and then. */
  readonly first: readonly Buffer[];
  /** Comes at each second. */
  readonly piece: (i: number) => Buffer;
  readonly withinMs: number;
  /** Empty: the connection is closed without GOAWAY, before HTTP/2 was agreed. */
  readonly code: string;
  readonly kind: 'http2-protocol' | 'header-timeout' | '';
}

const HELLO: readonly Buffer[] = [PREFACE, settings(), SETTINGS_ACK];

const SLOW: readonly Slow[] = [
  {
    name: 'a preface of which the rest does not come',
    protocol: 'auto',
    first: [PREFACE.subarray(0, 10)],
    piece: () => EMPTY,
    withinMs: LIMITS.headerTimeoutMs,
    code: '',
    kind: '',
  },
  {
    name: 'a preface of which a byte comes a second',
    protocol: 'http2',
    first: [PREFACE.subarray(0, 1)],
    piece: (i) => PREFACE.subarray(i, i + 1),
    withinMs: LIMITS.http2SettingsMs,
    code: 'SETTINGS_TIMEOUT',
    kind: 'http2-protocol',
  },
  {
    name: 'a preface without SETTINGS',
    protocol: 'auto',
    first: [PREFACE],
    piece: () => EMPTY,
    withinMs: LIMITS.http2SettingsMs,
    code: 'SETTINGS_TIMEOUT',
    kind: 'http2-protocol',
  },
  {
    name: 'our SETTINGS not acknowledged, and a PING a second',
    protocol: 'auto',
    first: [PREFACE, settings()],
    piece: () => PING,
    withinMs: LIMITS.http2SettingsMs,
    code: 'SETTINGS_TIMEOUT',
    kind: 'http2-protocol',
  },
  {
    name: 'a header block of which the rest does not come',
    protocol: 'auto',
    first: [...HELLO, headers(1, requestBlock('GET', '/attack'), OPEN)],
    piece: () => EMPTY,
    withinMs: LIMITS.headerTimeoutMs,
    code: 'PROTOCOL_ERROR',
    kind: 'http2-protocol',
  },
  {
    name: 'a header block with a piece a second',
    protocol: 'auto',
    first: [...HELLO, headers(1, requestBlock('GET', '/attack'), OPEN)],
    piece: () => continuation(1, field('x', 'y')),
    withinMs: LIMITS.headerTimeoutMs,
    code: 'PROTOCOL_ERROR',
    kind: 'http2-protocol',
  },
  {
    name: 'a HEADERS frame with a byte a second',
    protocol: 'auto',
    first: [...HELLO, headers(1, Buffer.alloc(1_000, 0x90)).subarray(0, 20)],
    piece: () => Buffer.from([0x90]),
    withinMs: LIMITS.headerTimeoutMs,
    code: 'PROTOCOL_ERROR',
    kind: 'http2-protocol',
  },
  {
    name: 'trailers with a piece a second',
    protocol: 'auto',
    first: [...HELLO, post(1, '/attack'), headers(1, field('x', 'y'), END_STREAM)],
    piece: () => continuation(1, field('x', 'y')),
    withinMs: LIMITS.headerTimeoutMs,
    code: 'PROTOCOL_ERROR',
    kind: 'http2-protocol',
  },
  {
    name: 'a connection without requests that sends frames of unknown types',
    protocol: 'auto',
    first: HELLO,
    piece: () => frame(0x20, 0, 0, Buffer.alloc(3)),
    withinMs: LIMITS.downstreamIdleTimeoutMs,
    code: 'NO_ERROR',
    kind: '',
  },
  {
    name: 'a request whose body comes no further',
    protocol: 'auto',
    first: [
      ...HELLO,
      post(1, '/attack', [['content-length', '5']]),
      data(1, 'a'),
      data(1, 'bc').subarray(0, 10),
    ],
    piece: () => EMPTY,
    withinMs: LIMITS.downstreamIdleTimeoutMs,
    code: '',
    kind: '',
  },
];

for (const one of SLOW) {
  test(`${one.name} (${one.protocol})`, async () => {
    const clock = new MovedClock();
    const upstream = await backend();
    const config = oneService([upstream.port], { listener: `protocol: ${one.protocol}` });
    await withProxy(
      config,
      async (proxy) => {
        const peer = await FramePeer.begin(proxy.port);
        await peer.sent(Buffer.concat(one.first));
        await turn();
        const over = (): boolean => peer.goaway !== '' || peer.closed || peer.ended(1);
        const step = Math.max(1_000, one.withinMs / 20);
        let waitedMs = 0;
        let pieces = 0;
        for (; waitedMs + step < one.withinMs; waitedMs += step) {
          clock.advance(step);
          await turn();
          assert.equal(over(), false, `cut off after ${waitedMs} of ${one.withinMs} ms`);
          const piece = one.piece(++pieces);
          if (piece.length > 0) await peer.sent(piece);
        }
        await turn();
        clock.advance(one.withinMs - waitedMs + 100);
        await until(over, `its end after ${one.withinMs} ms`);
        await turn();
        assert.equal(peer.goaway, one.code);
        if (one.kind !== '') await assertRecorded(proxy, one.kind, /./);
        // Others are served as ever.
        await besides(proxy.port, async () => {});
        peer.destroy();
        await until(() => proxy.active === 0 && proxy.connections === 0, 'the end of it all');
      },
      { clock },
    );
    await upstream.close();
  });
}
