/** Frames: every case whole, byte by byte and cut at random places; and that what is written is read again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as h2 from '../../../src/dataplane/codec/http2/index.ts';
import { Random, SEED } from '../http1/random.ts';
import { DATA, HEADERS, OTHERS, PREFACES, S, SETTINGS } from './cases-frames.ts';
import { bytesOf } from './replay.ts';
import { type FrameCase, FrameRecorder, READER, replayFrames } from './replay-frames.ts';

const TABLES: Record<string, readonly FrameCase[]> = { DATA, HEADERS, SETTINGS, OTHERS, PREFACES };

for (const [title, cases] of Object.entries(TABLES)) {
  const options = { ...READER, preface: cases === PREFACES };
  describe(title, () => {
    for (const [name, hex, ...lines] of cases) {
      test(name, () => {
        const wire = bytesOf(hex);
        assert.deepEqual(replayFrames(wire, [], options), lines, 'whole');
        const everywhere = Array.from(wire.keys()).slice(1);
        assert.deepEqual(replayFrames(wire, everywhere, options), lines, 'byte by byte');
        const random = new Random(SEED);
        for (let round = 0; round < 20; round++) {
          const cuts = random.cuts(wire.length, 6);
          const where = `cut at ${cuts.join(', ')}; OUTBOARD_TEST_SEED=${SEED}`;
          assert.deepEqual(replayFrames(wire, cuts, options), lines, where);
        }
      });
    }
  });
}

describe('a sink that stops the reader', () => {
  const all = [...DATA, ...HEADERS, ...SETTINGS, ...OTHERS];
  test('hears nothing more, wherever it does', () => {
    for (const [name, hex] of all) {
      const wire = bytesOf(hex);
      for (const cuts of [[], Array.from(wire.keys()).slice(1)]) {
        const total = replayFrames(wire, cuts).length;
        for (let stopAt = 1; stopAt <= total; stopAt++) {
          const recorder = new FrameRecorder();
          const reader = new h2.FrameReader(recorder, READER);
          recorder.afterLine = () => {
            if (recorder.lines.length === stopAt) reader.stop();
          };
          let result = 0;
          const bounds = [0, ...cuts, wire.length];
          for (let i = 0; i + 1 < bounds.length; i++)
            result = reader.execute(wire, bounds[i] as number, bounds[i + 1] as number);
          assert.ok(recorder.lines.length <= stopAt, `${name}, stopped at ${stopAt}`);
          if (recorder.lines.length === stopAt) assert.equal(result === -1 || !reader.atBoundary, true, name);
        }
      }
    }
  });
});

describe('writers', () => {
  const written: readonly (readonly [
    name: string,
    write: (out: h2.OutBuffer) => void,
    ...lines: string[],
  ])[] = [
    [
      'SETTINGS',
      (out) => h2.writeSettings(out, [h2.SETTING.enablePush, 0, h2.SETTING.maxHeaderListSize, 2 ** 32 - 1]),
      'settings enablePush=0 maxHeaderListSize=4294967295',
    ],
    ['SETTINGS acknowledged', (out) => h2.writeSettingsAck(out), 'settings ack'],
    ['RST_STREAM', (out) => h2.writeRstStream(out, 7, h2.ERROR.refusedStream), 'reset 7 REFUSED_STREAM'],
    ['PING', (out) => h2.writePing(out, false, Buffer.from('xabcdefgh'), 1), 'ping 6162636465666768'],
    [
      'PING acknowledged',
      (out) => h2.writePing(out, true, Buffer.from('abcdefgh'), 0),
      'ping 6162636465666768 ack',
    ],
    [
      'GOAWAY',
      (out) => h2.writeGoaway(out, 2 ** 31 - 1, h2.ERROR.enhanceYourCalm, 'slow down'),
      'goaway 2147483647 ENHANCE_YOUR_CALM "slow down"',
    ],
    [
      'WINDOW_UPDATE',
      (out) => h2.writeWindowUpdate(out, 2 ** 31 - 1, h2.WINDOW_MAX),
      'window 2147483647 2147483647',
    ],
    [
      'DATA',
      (out) => {
        h2.writeDataHeader(out, 1, 2, true);
        out.length += out.reserve(2).write('ab', out.length);
      },
      'data 1 flow 2 ends',
      'data end 1 6162 ends',
    ],
  ];
  for (const [name, write, ...lines] of written) {
    test(name, () => {
      const out = new h2.OutBuffer();
      write(out);
      const wire = Buffer.concat([bytesOf(S), out.take()]);
      assert.deepEqual(replayFrames(wire, []), ['settings', ...lines]);
    });
  }

  test('the preface', () => {
    const out = new h2.OutBuffer();
    h2.writePreface(out);
    assert.deepEqual(out.take(), h2.PREFACE);
  });

  test('HEADERS of any length, cut into frames of any length', () => {
    const options = { ...READER, blockBytes: 1_000, continuations: 1_000 };
    for (const [length, frameBytes] of [
      [0, 5],
      [4, 5],
      [5, 5],
      [6, 5],
      [10, 5],
      [11, 5],
      [500, 7],
      [3, 1],
    ] as const) {
      const block = Buffer.from(Array.from({ length }, (_, i) => i & 0xff));
      const out = new h2.OutBuffer();
      h2.writeSettingsAck(out);
      const start = h2.beginHeaders(out);
      out.length += block.copy(out.reserve(length), out.length);
      h2.endHeaders(out, start, 5, true, frameBytes);
      h2.writeSettingsAck(out);
      const wire = Buffer.concat([bytesOf(S), out.take()]);
      assert.deepEqual(replayFrames(wire, [], { ...options, frameBytes }), [
        'settings',
        'settings ack',
        `headers 5 ${block.toString('hex')} ends`,
        'settings ack',
      ]);
    }
  });

  test('a buffer that was taken is not written to again', () => {
    const out = new h2.OutBuffer();
    h2.writeSettingsAck(out);
    const taken = out.take();
    const before = Buffer.from(taken);
    for (let i = 0; i < 500; i++) h2.writeGoaway(out, 1, 1, 'x');
    assert.deepEqual(taken, before);
  });
});

test('mutated frames are refused or read, and never throw', () => {
  const random = new Random(SEED);
  const wires = [...DATA, ...HEADERS, ...SETTINGS, ...OTHERS].map(([, hex]) => bytesOf(hex));
  for (let round = 0; round < 20_000; round++) {
    const wire = Buffer.concat([random.pick(wires), random.pick(wires)]);
    for (let i = random.int(4); i >= 0; i--) wire[random.int(wire.length)] = random.int(256);
    const cuts = random.cuts(wire.length, 4);
    try {
      assert.deepEqual(replayFrames(wire, cuts), replayFrames(wire, []));
    } catch (error) {
      assert.fail(`${wire.toString('hex')} cut at ${cuts}: ${error}; OUTBOARD_TEST_SEED=${SEED}`);
    }
  }
});
