/** The order of frames on the way out, and who is told to stop and to go on; a session without a socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../../src/base/index.ts';
import {
  type FrameOut,
  Http2Session,
  type Http2Stream,
  type SessionOwner,
} from '../../../src/dataplane/codec/http2/index.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const NAMES = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
];
const ACK = 1;
const INITIAL_WINDOW = 4;

function frame(type: string, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = NAMES.indexOf(type);
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

function settings(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id, 0);
  payload.writeUInt32BE(value, 2);
  return frame('SETTINGS', 0, 0, payload);
}

/** A server whose client has asked for `/` on stream 1 with a window of `window` bytes; what it sends is kept. */
function served(window: number) {
  const sent: Buffer[] = [];
  const opened: Http2Stream[] = [];
  const out = {
    belowHighWater: true as boolean,
    put: (bytes: Buffer, start: number, end: number): void =>
      void sent.push(Buffer.from(bytes.subarray(start, end))),
    flush() {},
    queued() {},
  } satisfies FrameOut;
  const owner: SessionOwner = {
    onStream: (stream) => void opened.push(stream),
    onStreamClosed() {},
    onSettings() {},
    onGoaway() {},
    onPong() {},
    onStreamFault() {},
  };
  const session = new Http2Session(
    { role: 'server', clock: new FakeClock(), maxStreams: 10, headerBytes: 60 * 1024 },
    owner,
    out,
  );
  const receive = (...frames: Buffer[]): void => {
    const bytes = Buffer.concat(frames);
    assert.equal(session.execute(bytes, 0, bytes.length), bytes.length);
  };
  // :method GET, :scheme http, :path /, and :authority x.
  const request = Buffer.from([0x82, 0x86, 0x84, 0x41, 0x01, 0x78]);
  receive(Buffer.from(PREFACE), settings(INITIAL_WINDOW, window), frame('HEADERS', 0x05, 1, request));
  session.out.write();
  sent.length = 0;
  return {
    session,
    out,
    stream: opened[0] as Http2Stream,
    receive,
    /** Names of the frames sent since the last time. */
    frames(): string[] {
      session.out.write();
      const bytes = Buffer.concat(sent.splice(0));
      const names: string[] = [];
      for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
        const name = NAMES[bytes[at + 3] as number] as string;
        names.push(name === 'SETTINGS' && bytes[at + 4] === ACK ? 'SETTINGS ack' : name);
      }
      return names;
    },
  };
}

test('SETTINGS are acknowledged before what they let go is sent (RFC 9113 section 6.5.3)', () => {
  const { session, stream, receive, frames } = served(0);
  session.out.headers(stream, false, (encoder) => encoder.status(200));
  assert.equal(session.out.data(stream, Buffer.alloc(100)), true);
  assert.deepEqual(frames(), ['HEADERS']);
  receive(settings(INITIAL_WINDOW, 65_535));
  assert.deepEqual(frames(), ['SETTINGS ack', 'DATA']);
});

test('who was told to stop is told to go on, whatever was sent in between', () => {
  const { session, out, stream, frames } = served(65_535);
  let writable = 0;
  stream.handler = {
    onBlock: () => '',
    onData() {},
    onEnd() {},
    onReset() {},
    onWritable: () => void writable++,
  };
  session.out.headers(stream, false, (encoder) => encoder.status(200));
  out.belowHighWater = false;
  assert.equal(session.out.data(stream, Buffer.alloc(100)), false);
  // The socket has begun to empty, but has not said so: what comes now is still to wait, and its sender still stopped.
  out.belowHighWater = true;
  assert.equal(session.out.data(stream, Buffer.alloc(100)), false);
  session.out.pump();
  assert.equal(writable, 1);
  assert.equal(stream.queuedBytes, 0);
  assert.deepEqual(frames(), ['HEADERS', 'DATA']);
  assert.equal(session.out.data(stream, Buffer.alloc(100)), true);
});
