/**
 * Feeds wire bytes to a parser, cut as told, and writes down what it reports as lines of text, so that a case is
 * readable: wire on one side, lines on the other. Body chunks are joined, because how a body is cut into
 * chunks is the sender's and the network's affair.
 */
import assert from 'node:assert/strict';
import {
  RequestParser,
  type RequestParserOptions,
  ResponseParser,
} from '../../../src/dataplane/codec/http1/index.ts';
import type { HeaderList, RequestHead, ResponseHead } from '../../../src/message/index.ts';

/** `[name, wire, ...lines]`. */
export type Case = readonly [name: string, wire: string, ...lines: string[]];

export interface Expectation {
  readonly method: string;
  readonly upgrade: boolean;
}

/** Positions at which the wire is cut; none: whole. */
export type Cuts = readonly number[];

export class Recorder {
  readonly lines: string[] = [];
  /** `onEnd` has come for the last head. */
  ended = false;
  private body = '';

  onHead(head: RequestHead | ResponseHead): void {
    this.ended = false;
    this.line(describe(head));
    head.headers.forEach((name, value) => {
      this.line(`| ${name}: ${value}`);
    });
  }

  onInformational(head: ResponseHead): void {
    this.onHead(head);
  }

  onBody(chunk: Buffer): void {
    assert.ok(chunk.length > 0, 'an empty chunk');
    this.body += chunk.toString('latin1');
  }

  onEnd(trailers: HeaderList | null): void {
    assert.equal(this.ended, false, 'two ends');
    this.ended = true;
    this.line('end');
    trailers?.forEach((name, value) => {
      this.line(`trailer ${name}: ${value}`);
    });
  }

  line(text: string): void {
    if (this.body !== '') this.lines.push(`body ${this.body}`);
    this.body = '';
    this.lines.push(text);
  }
}

export function replayRequests(wire: Buffer, cuts: Cuts, options: RequestParserOptions): string[] {
  const recorder = new Recorder();
  const parser = new RequestParser(recorder, options);
  for (const piece of pieces(wire, cuts)) {
    let at = piece.start;
    while (at < piece.end) {
      if (parser.done) {
        if (recorder.ended) parser.next();
        else parser.tunnel();
      }
      const consumed = parser.execute(piece.bytes, at, piece.end);
      if (consumed < 0) {
        recorder.line(`refused ${parser.failure?.kind}`);
        assert.equal(parser.execute(piece.bytes, at, piece.end), -1, 'refused once, accepted later');
        return recorder.lines;
      }
      assert.ok(consumed > 0 || parser.done, 'no progress');
      at += consumed;
    }
  }
  const cut = parser.finish();
  if (cut !== null) recorder.line(`cut ${cut.kind}: ${cut.detail}`);
  else if (parser.done && !parser.keepAlive) recorder.line('close');
  return recorder.lines;
}

export function replayResponse(wire: Buffer, cuts: Cuts, expectation: Expectation): string[] {
  const recorder = new Recorder();
  const parser = new ResponseParser(recorder);
  parser.expect(expectation.method, expectation.upgrade);
  for (const piece of pieces(wire, cuts)) {
    if (parser.done) {
      recorder.line('excess');
      return recorder.lines;
    }
    const consumed = parser.execute(piece.bytes, piece.start, piece.end);
    if (consumed < 0) {
      assert.equal(parser.failure?.kind, 'upstream-protocol');
      recorder.line(`refused ${parser.failure?.detail.split(':')[0]}`);
      return recorder.lines;
    }
    if (consumed < piece.end - piece.start) {
      recorder.line('excess');
      return recorder.lines;
    }
  }
  const cut = parser.finish();
  if (cut !== null) recorder.line(`cut ${cut.kind}`);
  else if (!parser.reusable) recorder.line('close');
  return recorder.lines;
}

/** Asserts that what came out is what the case says. Field lines (`| name: value`) count where the case has any. */
export function assertLines(actual: readonly string[], expected: readonly string[], where: string): void {
  const fields = expected.some((line) => line.startsWith('| '));
  assert.deepEqual(fields ? actual : actual.filter((line) => !line.startsWith('| ')), expected, where);
}

/** Each piece stands in a buffer of its own, with poison around it: a parser that reads beyond `end` is found out. */
function* pieces(wire: Buffer, cuts: Cuts): Generator<{ bytes: Buffer; start: number; end: number }> {
  const bounds = [0, ...cuts, wire.length];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const from = bounds[i] as number;
    const to = bounds[i + 1] as number;
    if (from === to) continue;
    const before = i % 3;
    const bytes = Buffer.alloc(before + to - from + 2, POISON);
    wire.copy(bytes, before, from, to);
    yield { bytes, start: before, end: before + to - from };
  }
}

const POISON = 0x0a;

function describe(head: RequestHead | ResponseHead): string {
  const length = head.contentLength >= 0 ? ` ${head.contentLength}` : '';
  if ('status' in head) {
    const reason = head.reason === '' ? '' : ` "${head.reason}"`;
    return `${head.status}${reason} ${head.version} ${head.body}${length}`;
  }
  const waits = head.expectContinue ? ' continue' : '';
  const upgrade = head.upgrade === '' ? '' : ` upgrade ${head.upgrade}`;
  return `${head.method} ${head.target} @${head.authority} ${head.version} ${head.body}${length}${waits}${upgrade}`;
}
