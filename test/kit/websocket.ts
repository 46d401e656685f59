/** A WebSocket server (RFC 6455) that echoes messages; the clients of the tests are Node's and the browser's. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

const ACCEPT_KEY = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Upgrades of this server become WebSockets whose messages come back frame by frame. */
export function echoWebSockets(server: Server): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, first: Buffer) => {
    const key = String(request.headers['sec-websocket-key']);
    const accept = createHash('sha1')
      .update(key + ACCEPT_KEY)
      .digest('base64');
    const protocol = request.headers['sec-websocket-protocol']?.split(',')[0];
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n` +
        `${protocol === undefined ? '' : `sec-websocket-protocol: ${protocol}\r\n`}\r\n`,
    );
    echoFrames(socket);
    if (first.length > 0) socket.unshift(first);
  });
}

/** What comes on a WebSocket that is established goes back frame by frame. */
export function echoFrames(socket: Duplex): void {
  const take = frames((opcode, payload, last) => {
    if (opcode === CLOSE) socket.end(frame(CLOSE, payload, true));
    else if (opcode === PING) socket.write(frame(PONG, payload, true));
    else if (opcode !== PONG) socket.write(frame(opcode, payload, last));
  });
  socket.on('data', take);
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
}

/** Takes bytes as they come and calls `each` with every whole frame, unmasked. */
function frames(each: (opcode: number, payload: Buffer, last: boolean) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      if (held.length < 2) return;
      const short = (held[1] as number) & 127;
      const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
      const start = 2 + wide + 4;
      if (held.length < start) return;
      const length = wide === 0 ? short : wide === 2 ? held.readUInt16BE(2) : Number(held.readBigUInt64BE(2));
      if (held.length < start + length) return;
      const mask = held.subarray(start - 4, start);
      const payload = Buffer.from(held.subarray(start, start + length));
      for (let at = 0; at < length; at++) payload[at] = (payload[at] as number) ^ (mask[at & 3] as number);
      const first = held[0] as number;
      held = held.subarray(start + length);
      each(first & 15, payload, (first & 128) !== 0);
    }
  };
}

function frame(opcode: number, payload: Buffer, last: boolean): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = opcode | (last ? 128 : 0);
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** What an echo's client does, in Node and, as source text, in a browser: texts, then bytes, then a clean close. */
export function talkWebSocket(
  url: string,
  binaryBytes: number,
): Promise<{
  texts: string[];
  binary: number;
  same: boolean;
  code: number;
  clean: boolean;
  protocol: string;
}> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['echo', 'other']);
    socket.binaryType = 'arraybuffer';
    const texts: string[] = [];
    const sent = new Uint8Array(binaryBytes).map((_, at) => at * 7);
    let binary = -1;
    let same = false;
    socket.onopen = () => {
      socket.send('hello');
      socket.send('„ü🙂“');
      socket.send(sent);
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') {
        texts.push(data);
        return;
      }
      const bytes = new Uint8Array(data as ArrayBuffer);
      binary = bytes.length;
      same = bytes.every((byte, at) => byte === sent[at]);
      socket.close(4001, 'enough');
    };
    socket.onclose = ({ code, wasClean }) =>
      resolve({ texts, binary, same, code, clean: wasClean, protocol: socket.protocol });
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
}
