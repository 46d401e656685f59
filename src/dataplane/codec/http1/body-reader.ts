/**
 * The body of one message: by length, chunked, until the connection closes, or a tunnel. Data goes to the sink as
 * views of what was read, never copied and never empty; only framing is looked at byte by byte.
 *
 * Chunk lines are taken exactly as RFC 9112 section 7.1 writes them, without the white space it tolerates.
 * Extensions are checked and dropped; a line end inside one, quoted or not, is refused, because hops that
 * disagree on where a chunk line ends disagree on where the body does.
 */
import { type FailureKind, LIMITS } from '../../../base/index.ts';
import type { HeaderList } from '../../../message/index.ts';
import { BACKSLASH, CR, DQUOTE, EQUALS, FIELD_VALUE, HEX, LF, SEMICOLON, showByte, TOKEN } from './bytes.ts';
import { FieldScanner, MORE, REFUSED } from './field-scanner.ts';
import { type SectionLimits, SectionReader } from './section-reader.ts';
import { trailersOf } from './trailers.ts';

export interface BodySink {
  onBody(chunk: Buffer): void;
  onEnd(trailers: HeaderList | null): void;
}

const TRAILER_LIMITS: SectionLimits = {
  lineBytes: 0,
  tooLongLine: 'headers-too-large',
  fieldBytes: LIMITS.trailerBytes,
};

const ENDED = 0;
const LENGTH = 1;
const RAW = 2;
const SIZE = 3;
const SIZE_LF = 4;
const EXT_NAME = 5;
const EXT_VALUE = 6;
const EXT_TOKEN = 7;
const EXT_QUOTED = 8;
const EXT_ESCAPE = 9;
const EXT_AFTER_QUOTED = 10;
const DATA = 11;
const DATA_CR = 12;
const DATA_LF = 13;
const TRAILERS = 14;
const DROPPED = 15;

export class BodyReader {
  kind: FailureKind | null = null;
  detail = '';
  private readonly sink: BodySink;
  /** Null before the first chunked body: most connections never bring one. */
  private trailers: SectionReader | null = null;
  private state = ENDED;
  /** Bytes left of the body, or of the chunk. */
  private remaining = 0;
  private sizeDigits = 0;
  /** Bytes of the extension part under way, of this chunk, and of the message. */
  private partBytes = 0;
  private extensionBytes = 0;
  private extensionBytesTotal = 0;

  constructor(sink: BodySink) {
    this.sink = sink;
  }

  /** The body is complete; the sink has been told. */
  get ended(): boolean {
    return this.state === ENDED;
  }

  /** True where the end of the connection ends the body properly. */
  get endsWithConnection(): boolean {
    return this.state === RAW;
  }

  /** `bytes` is at least 1. */
  beginLength(bytes: number): void {
    this.state = LENGTH;
    this.remaining = bytes;
  }

  beginChunked(): void {
    this.state = SIZE;
    this.remaining = 0;
    this.sizeDigits = 0;
    this.extensionBytesTotal = 0;
  }

  /** Everything is body until `endRaw`. */
  beginRaw(): void {
    this.state = RAW;
  }

  endRaw(): void {
    this.state = ENDED;
    this.sink.onEnd(null);
  }

  /** No more calls to the sink. */
  drop(): void {
    this.state = DROPPED;
    this.trailers?.drop();
  }

  /** Returns where the body ended, or `end`, or REFUSED. */
  read(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      switch (this.state) {
        case ENDED:
          return at;
        case LENGTH:
        case DATA:
          at = this.readData(bytes, at, end);
          break;
        case RAW:
          this.sink.onBody(view(bytes, at, end));
          return end;
        case TRAILERS: {
          const stop = this.readTrailers(bytes, at, end);
          if (stop < 0) return stop === MORE ? end : REFUSED;
          at = stop;
          break;
        }
        case DROPPED:
          return end;
        default:
          at = this.readChunkLine(bytes, at, end);
          if (at < 0) return REFUSED;
      }
    }
    return at;
  }

  private readData(bytes: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.remaining);
    const left = this.remaining - (stop - at);
    this.remaining = left;
    const last = left === 0 && this.state === LENGTH;
    if (left === 0) this.state = last ? ENDED : DATA_CR;
    this.sink.onBody(view(bytes, at, stop));
    // The sink may have dropped the message, and then hears no more of it.
    if (last && this.state === ENDED) this.sink.onEnd(null);
    return stop;
  }

  /** Everything between chunk data and chunk data. */
  private readChunkLine(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = bytes[at];
      switch (this.state) {
        case SIZE: {
          const digit = HEX[byte];
          if (digit < 16) {
            if (++this.sizeDigits > LIMITS.chunkSizeDigits) return this.refuse('bad-chunk', 'size too long');
            this.remaining = this.remaining * 16 + digit;
          } else if (this.sizeDigits === 0)
            return this.refuseByte(byte, 'bad-chunk', 'where a chunk size should be');
          else if (byte === CR) this.state = SIZE_LF;
          else if (byte === SEMICOLON) this.beginExtension(true);
          else return this.refuseByte(byte, 'bad-chunk', 'after the chunk size');
          break;
        }
        case SIZE_LF:
          if (byte !== LF) return this.refuse('bare-cr', 'CR without LF in a chunk line');
          if (this.remaining > 0) {
            this.state = DATA;
            return at + 1;
          }
          this.state = TRAILERS;
          this.trailers ??= newTrailerReader();
          this.trailers.begin();
          return at + 1;
        case DATA_CR:
          if (byte !== CR) return this.refuseByte(byte, 'bad-chunk', 'after the chunk data');
          this.state = DATA_LF;
          break;
        case DATA_LF:
          if (byte !== LF) return this.refuse('bare-cr', 'CR without LF after the chunk data');
          this.state = SIZE;
          this.sizeDigits = 0;
          this.remaining = 0;
          break;
        default:
          if (!this.readExtension(byte)) return REFUSED;
      }
      at++;
    }
    return at;
  }

  /** `first`: of this chunk. */
  private beginExtension(first: boolean): void {
    if (first) this.extensionBytes = 0;
    this.partBytes = 0;
    this.state = EXT_NAME;
  }

  /** ";" name [ "=" ( token / quoted-string ) ], RFC 9112 section 7.1.1. */
  private readExtension(byte: number): boolean {
    if (++this.extensionBytes > LIMITS.chunkExtensionBytes)
      return this.refuse('bad-chunk', 'extension too long') > 0;
    if (++this.extensionBytesTotal > LIMITS.chunkExtensionBytesTotal)
      return this.refuse('bad-chunk', 'too many extension bytes in one message') > 0;
    const { state } = this;
    if (state === EXT_QUOTED) {
      if (byte === DQUOTE) this.state = EXT_AFTER_QUOTED;
      else if (byte === BACKSLASH) this.state = EXT_ESCAPE;
      else if (FIELD_VALUE[byte] !== 1)
        return this.refuseByte(byte, 'bad-chunk', 'in a quoted chunk extension') > 0;
      return true;
    }
    if (state === EXT_ESCAPE) {
      if (FIELD_VALUE[byte] !== 1)
        return this.refuseByte(byte, 'bad-chunk', 'in a quoted chunk extension') > 0;
      this.state = EXT_QUOTED;
      return true;
    }
    if (state === EXT_VALUE && byte === DQUOTE) {
      this.state = EXT_QUOTED;
      return true;
    }
    if (state !== EXT_AFTER_QUOTED && TOKEN[byte] === 1) {
      this.partBytes++;
      if (state === EXT_VALUE) this.state = EXT_TOKEN;
      return true;
    }
    const complete = state === EXT_AFTER_QUOTED || (state !== EXT_VALUE && this.partBytes > 0);
    if (complete && byte === CR) this.state = SIZE_LF;
    else if (complete && byte === SEMICOLON) this.beginExtension(false);
    else if (complete && byte === EQUALS && state === EXT_NAME) {
      this.state = EXT_VALUE;
      this.partBytes = 0;
    } else return this.refuseByte(byte, 'bad-chunk', 'in a chunk extension') > 0;
    return true;
  }

  private readTrailers(bytes: Buffer, at: number, end: number): number {
    const trailers = this.trailers as SectionReader;
    const stop = trailers.read(bytes, at, end);
    if (stop === MORE) return MORE;
    if (stop === REFUSED) return this.refuse(trailers.kind as FailureKind, `trailer: ${trailers.detail}`);
    const { fields } = trailers;
    const text = trailers.takeText();
    const list = fields.ids.length === 0 ? null : trailersOf(text, fields.spans, fields.ids);
    if (typeof list === 'string') return this.refuse('bad-trailer', list);
    this.state = ENDED;
    this.sink.onEnd(list);
    return stop;
  }

  private refuseByte(byte: number, kind: FailureKind, where: string): number {
    if (byte === LF) return this.refuse('bare-lf', where);
    return this.refuse(kind, `${showByte(byte)} ${where}`);
  }

  private refuse(kind: FailureKind, detail: string): number {
    this.kind = kind;
    this.detail = detail;
    return REFUSED;
  }
}

function newTrailerReader(): SectionReader {
  return new SectionReader(null, new FieldScanner(LIMITS.trailerCount, false), TRAILER_LIMITS);
}

/** The bytes themselves when they are all wanted: a view costs 60 ns. */
function view(bytes: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
}
