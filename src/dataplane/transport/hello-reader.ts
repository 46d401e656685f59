/**
 * The server name of a TLS ClientHello that is passed through: read as it comes, over as many reads and records as it
 * takes. A hello with a hybrid key share (X25519MLKEM768) has about 1,700 bytes, so that it is often cut in two. Reading is
 * all this does: the endpoint gets the same bytes, and answers what is wrong with them.
 * Formats: RFC 8446 sections 4 and 5.1.
 */
import { LIMITS } from '../../base/index.ts';
import { CLIENT_HELLO, type Hello, RECORD_HANDSHAKE, readHelloMessage } from './tls-hello.ts';

/** `broken`: it will never be a ClientHello. */
export type HelloState = 'more' | 'whole' | 'broken';

const RECORD_HEADER = 5;
const RECORD_BYTES = 16 * 1024;
const MESSAGE_HEADER = 4;
const FIRST_BYTES = 2 * 1024;

export class HelloReader {
  /** Of a whole hello: lower case, without a final dot; empty when none was sent. */
  serverName = '';
  private readonly header = Buffer.alloc(RECORD_HEADER);
  private headerBytes = 0;
  /** Bytes of the record under way that are still to come. */
  private recordLeft = 0;
  /** The handshake message without its record headers. */
  private message = Buffer.allocUnsafe(FIRST_BYTES);
  private filled = 0;
  private state: HelloState = 'more';

  /** Takes the next bytes. What follows a whole hello is left alone. */
  push(bytes: Buffer, start: number, end: number): HelloState {
    for (let at = start; at < end && this.state === 'more'; ) {
      if (this.recordLeft === 0) this.takeHeader(bytes[at++] as number);
      else {
        const taken = Math.min(this.recordLeft, end - at);
        this.take(bytes, at, at + taken);
        at += taken;
      }
    }
    return this.state;
  }

  private takeHeader(byte: number): void {
    this.header[this.headerBytes++] = byte;
    const [type, major] = this.header;
    const length = this.header.readUInt16BE(3);
    if (type !== RECORD_HANDSHAKE || (this.headerBytes > 1 && major !== 3)) this.state = 'broken';
    else if (this.headerBytes === RECORD_HEADER) {
      if (length === 0 || length > RECORD_BYTES) this.state = 'broken';
      this.headerBytes = 0;
      this.recordLeft = length;
    }
  }

  private take(bytes: Buffer, start: number, end: number): void {
    this.reserve(this.filled + end - start);
    bytes.copy(this.message, this.filled, start, end);
    this.filled += end - start;
    this.recordLeft -= end - start;
    if (this.message[0] !== CLIENT_HELLO) this.state = 'broken';
    else if (this.filled >= MESSAGE_HEADER) this.finish(MESSAGE_HEADER + this.message.readUIntBE(1, 3));
  }

  private finish(length: number): void {
    if (length > LIMITS.clientHelloBytes) this.state = 'broken';
    else if (this.filled >= length) {
      const hello: Hello = { serverName: '', ticketNameAt: -1 };
      this.state = readHelloMessage(this.message, 0, length, hello) ? 'whole' : 'broken';
      this.serverName = hello.serverName;
    }
  }

  /** A message holds one record more than its limit at most: what is too long is found in its first four bytes. */
  private reserve(bytes: number): void {
    if (bytes <= this.message.length) return;
    const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.message.length));
    this.message.copy(larger, 0, 0, this.filled);
    this.message = larger;
  }
}
