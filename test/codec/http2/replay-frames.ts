/**
 * Feeds bytes to a frame reader, cut as told, and writes down what it reports, a call a line. Pieces of one DATA payload
 * are joined: how they are cut is the network's affair.
 */
import assert from 'node:assert/strict';
import {
  errorName,
  type FrameError,
  FrameReader,
  type FrameReaderOptions,
  type FrameSink,
  type SettingsValues,
} from '../../../src/dataplane/codec/http2/index.ts';

/** `[name, hex, ...lines]`. */
export type FrameCase = readonly [name: string, hex: string, ...lines: string[]];

export const READER: FrameReaderOptions = {
  preface: false,
  frameBytes: 16_384,
  blockBytes: 64,
  continuations: 4,
};

export class FrameRecorder implements FrameSink {
  readonly lines: string[] = [];
  /** Called after every line. */
  afterLine: () => void = () => {};
  private data = '';

  onData(streamId: number, flowBytes: number, endStream: boolean): void {
    this.line(`data ${streamId} flow ${flowBytes}${ends(endStream)}`);
  }

  onDataBytes(_streamId: number, bytes: Buffer, start: number, end: number): void {
    assert.ok(start < end, 'an empty piece');
    this.data += bytes.toString('hex', start, end);
  }

  onDataEnd(streamId: number, endStream: boolean): void {
    const data = this.data === '' ? '' : ` ${this.data}`;
    this.data = '';
    this.line(`data end ${streamId}${data}${ends(endStream)}`);
  }

  onHeaders(
    streamId: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    fault: FrameError | null,
  ): void {
    const why = fault === null ? '' : ` ${shown(fault)}`;
    this.line(`headers ${streamId} ${bytes.toString('hex', start, end)}${ends(endStream)}${why}`);
  }

  onRstStream(streamId: number, code: number): void {
    this.line(`reset ${streamId} ${errorName(code)}`);
  }

  onSettings(settings: SettingsValues): void {
    const named = Object.entries(settings).filter(([, value]) => value >= 0);
    this.line(`settings ${named.map(([name, value]) => `${name}=${value}`).join(' ')}`.trimEnd());
  }

  onSettingsAck(): void {
    this.line('settings ack');
  }

  onPing(ack: boolean, bytes: Buffer, start: number): void {
    this.line(`ping ${bytes.toString('hex', start, start + 8)}${ack ? ' ack' : ''}`);
  }

  onGoaway(lastStreamId: number, code: number, debug: string): void {
    this.line(`goaway ${lastStreamId} ${errorName(code)} "${debug}"`);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.line(`window ${streamId} ${increment}`);
  }

  onPriority(): void {}

  onUnknown(): void {}

  onStreamError(streamId: number, error: FrameError): void {
    this.line(`stream error ${streamId} ${shown(error)}`);
  }

  line(text: string): void {
    this.lines.push(text);
    this.afterLine();
  }
}

/** `cuts`: positions at which the wire is cut; none: whole. */
export function replayFrames(
  wire: Buffer,
  cuts: readonly number[],
  options: FrameReaderOptions = READER,
): string[] {
  const recorder = new FrameRecorder();
  const reader = new FrameReader(recorder, options);
  const bounds = [0, ...cuts, wire.length];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const from = bounds[i] as number;
    const to = bounds[i + 1] as number;
    // A buffer of its own with poison around it: a reader that reads beyond `end` is found out.
    const piece = Buffer.concat([Buffer.of(0xee), wire.subarray(from, to), Buffer.of(0xee, 0xee)]);
    const result = reader.execute(piece, 1, 1 + to - from);
    piece.fill(0xee);
    if (result >= 0) {
      assert.equal(result, 1 + to - from);
      continue;
    }
    assert.ok(reader.error !== null && reader.error.scope === 'connection');
    recorder.line(shown(reader.error));
    assert.equal(reader.execute(wire, 0, wire.length), -1, 'refused once, accepted later');
    return recorder.lines;
  }
  if (!reader.atBoundary) recorder.line('cut off');
  return recorder.lines;
}

function ends(endStream: boolean): string {
  return endStream ? ' ends' : '';
}

function shown(error: FrameError): string {
  return `${errorName(error.code)}: ${error.detail}`;
}
