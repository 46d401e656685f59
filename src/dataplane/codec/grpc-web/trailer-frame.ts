/**
 * Trailers as the last frame of a body: flag 0x80, the length, and the fields as lines of HTTP/1 with lower-case names
 * (grpc/doc/PROTOCOL-WEB.md, "Message framing").
 */
import type { HeaderList } from '../../../message/index.ts';

const TRAILERS = 0x80;
const HEADER_BYTES = 5;

export function trailerFrame(trailers: HeaderList): Buffer {
  let text = '';
  trailers.forEach((name, value) => {
    text += `${name.toLowerCase()}: ${value}\r\n`;
  });
  const frame = Buffer.allocUnsafe(HEADER_BYTES + text.length);
  frame[0] = TRAILERS;
  frame.writeUInt32BE(text.length, 1);
  frame.write(text, HEADER_BYTES, 'latin1');
  return frame;
}
