/**
 * Sessions of HTTP/2 that are nearly right: frames that a client or an endpoint could send, of which some are then
 * cut, doubled, left out, put elsewhere or changed in a few bits.
 */
import type { Random } from '../codec/http1/random.ts';
import {
  continuation,
  data,
  END_HEADERS,
  END_STREAM,
  field,
  frame,
  goaway,
  headers,
  INITIAL_WINDOW,
  MAX_STREAMS,
  OPEN,
  PADDED,
  PING,
  requestBlock,
  rst,
  SETTINGS_ACK,
  settings,
  TABLE_SIZE,
  TYPE,
  uint32,
  WITH_PRIORITY,
  windowUpdate,
} from '../kit/frames.ts';

const NAMES = ['a', 'cookie', 'x-long', 'te', 'content-length', 'A', '', ':path', 'host', 'grpc-timeout'];
const VALUES = ['', 'b', 'trailers', '3', '-1', ' c ', 'x'.repeat(300), '\r\n', '1m'];
const CODES = [0, 1, 2, 3, 5, 7, 8, 11, 99];

/** A field, now and then a wrong one, indexed or not. */
function someField(random: Random, strange: boolean): Buffer {
  const name = strange ? random.pick(NAMES) : `x-${random.int(20)}`;
  const value = strange ? random.pick(VALUES) : 'v'.repeat(random.int(40));
  return field(name, value, random.pick([0, 0x10, 0x40, 0x40]));
}

function fields(random: Random, strange: boolean): Buffer {
  return Buffer.concat(Array.from({ length: random.int(4) }, () => someField(random, strange)));
}

/** One block as HEADERS and CONTINUATION, padded or with a priority where that is allowed. */
function block(random: Random, stream: number, bytes: Buffer, end: boolean): Buffer[] {
  const flags = end ? END_STREAM : 0;
  if (random.chance(4)) {
    const cut = random.int(bytes.length + 1);
    return [
      headers(stream, bytes.subarray(0, cut), flags | OPEN),
      ...(random.chance(3) ? [continuation(stream, Buffer.alloc(0))] : []),
      continuation(stream, bytes.subarray(cut), END_HEADERS),
    ];
  }
  if (random.chance(5)) {
    const padding = random.int(20);
    const padded = Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);
    return [headers(stream, padded, flags | END_HEADERS | PADDED)];
  }
  if (random.chance(8)) {
    const weighted = Buffer.concat([uint32(random.int(8)), Buffer.from([random.int(256)]), bytes]);
    return [headers(stream, weighted, flags | END_HEADERS | WITH_PRIORITY)];
  }
  return [headers(stream, bytes, flags | END_HEADERS)];
}

function body(random: Random, stream: number, end: boolean): Buffer[] {
  const frames: Buffer[] = [];
  for (let i = random.int(4); i > 0; i--) {
    const bytes = Buffer.alloc(random.pick([0, 1, 3, 100, 5_000]), 'x');
    if (random.chance(4)) {
      const padding = random.int(50);
      frames.push(
        frame(
          TYPE.data,
          PADDED,
          stream,
          Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]),
        ),
      );
    } else frames.push(data(stream, bytes));
  }
  if (end) frames.push(data(stream, 'end', END_STREAM));
  return frames;
}

/** Something of the connection, or of any stream. */
function other(random: Random, stream: number): Buffer {
  switch (random.int(8)) {
    case 0:
      return PING;
    case 1:
      return settings(
        random.pick([INITIAL_WINDOW, MAX_STREAMS, TABLE_SIZE, 5, 6, 8, 77]),
        random.pick([0, 1, 100, 4_096, 16_384, 65_535, 2 ** 31]),
      );
    case 2:
      return windowUpdate(random.pick([0, stream]), random.pick([0, 1, 5_000, 2 ** 31 - 1]));
    case 3:
      return frame(TYPE.priority, 0, stream, Buffer.concat([uint32(random.int(9)), Buffer.from([1])]));
    case 4:
      return frame(random.int(256), random.int(256), random.int(20), Buffer.alloc(random.int(30)));
    case 5:
      return rst(stream, random.pick(CODES));
    case 6:
      return goaway(random.int(20), random.pick(CODES), 'debug');
    default:
      return SETTINGS_ACK;
  }
}

export interface Session {
  readonly frames: Buffer[];
  /** Streams whose request is whole, where nothing was made wrong. */
  readonly asked: readonly number[];
}

/** Frames of a client after its preface. `strange`: some of them are wrong. */
export function clientSession(random: Random, strange: boolean): Session {
  const streams: Buffer[][] = [];
  const asked: number[] = [];
  const count = 1 + random.int(10);
  for (let i = 0; i < count; i++) {
    const id = 2 * i + 1;
    const method = random.pick(['GET', 'POST', 'HEAD', 'PUT']);
    const bodied = method === 'POST' || method === 'PUT';
    const request = Buffer.concat([
      requestBlock(method, random.pick(['/', '/ok', `/${'p'.repeat(random.int(200))}`])),
      fields(random, strange && random.chance(3)),
    ]);
    const ends = !strange || !random.chance(4);
    const frames = block(random, id, request, ends && !bodied);
    if (bodied) {
      const trailers = random.chance(4);
      frames.push(...body(random, id, ends && !trailers));
      if (trailers && ends) frames.push(...block(random, id, fields(random, strange), true));
    }
    streams.push(frames);
    asked.push(id);
  }
  const frames = interleaved(random, streams, strange);
  if (strange)
    for (let i = random.int(6); i > 0; i--)
      insert(random, frames, other(random, 2 * random.int(count + 2) + 1));
  return { frames: strange ? mutated(random, frames) : frames, asked: strange ? [] : asked };
}

/** Frames of an endpoint that answers on this stream. */
export function serverAnswer(random: Random, stream: number): Buffer[] {
  const frames: Buffer[] = [];
  const status = (code: string): Buffer => field(':status', code, random.pick([0, 0x40]));
  for (let i = random.chance(4) ? random.int(20) : 0; i > 0; i--)
    frames.push(...block(random, stream, status(random.pick(['100', '103', '101'])), random.chance(20)));
  const head = Buffer.concat([
    status(random.pick(['200', '200', '204', '304', '404', '500', '0', 'abc', ''])),
    fields(random, random.chance(3)),
  ]);
  const kind = random.int(4);
  frames.push(...block(random, stream, head, kind === 0));
  if (kind > 0) frames.push(...body(random, stream, kind > 1));
  if (kind === 1) frames.push(...block(random, stream, fields(random, random.chance(3)), true));
  for (let i = random.int(4); i > 0; i--)
    insert(random, frames, other(random, random.pick([stream, stream + 2, 2, 0])));
  if (random.chance(10)) insert(random, frames, frame(TYPE.pushPromise, END_HEADERS, stream, uint32(2)));
  return random.chance(2) ? mutated(random, frames) : frames;
}

function insert(random: Random, frames: Buffer[], bytes: Buffer): void {
  frames.splice(random.int(frames.length + 1), 0, bytes);
}

/** The streams' frames in one order, ids rising where nothing is to be wrong. Header blocks stay whole. */
function interleaved(random: Random, streams: Buffer[][], strange: boolean): Buffer[] {
  if (strange && random.chance(3)) return streams.flat();
  const left = streams.map((frames) => [...frames]);
  const merged: Buffer[] = [];
  let begun = 0;
  let inBlock = -1;
  while (left.some((frames) => frames.length > 0)) {
    let place = inBlock >= 0 ? inBlock : random.int(Math.min(begun + 1, left.length));
    if ((left[place] as Buffer[]).length === 0) place = left.findIndex((frames) => frames.length > 0);
    if (place > begun) place = begun;
    begun = Math.max(begun, place + 1);
    const next = left[place]?.shift();
    if (next === undefined) continue;
    merged.push(next);
    const opens = next[3] === TYPE.headers || next[3] === TYPE.continuation;
    inBlock = opens && ((next[4] as number) & END_HEADERS) === 0 ? place : -1;
  }
  return merged;
}

function mutated(random: Random, frames: Buffer[]): Buffer[] {
  const made = [...frames];
  for (let i = random.int(4); i > 0 && made.length > 0; i--) {
    const at = random.int(made.length);
    const one = Buffer.from(made[at] as Buffer);
    switch (random.int(7)) {
      case 0:
        made.splice(at, 1);
        break;
      case 1:
        made.splice(at, 0, one);
        break;
      case 2:
        made[at] = one.subarray(0, random.int(one.length));
        break;
      case 3:
        insert(random, made, one);
        break;
      case 4:
        one[random.int(9)] = random.int(256);
        made[at] = one;
        break;
      case 5: {
        const bit = random.int(one.length);
        one[bit] = (one[bit] as number) ^ (1 << random.int(8));
        made[at] = one;
        break;
      }
      default:
        insert(random, made, Buffer.from(Array.from({ length: random.int(40) }, () => random.int(256))));
    }
  }
  return made;
}
