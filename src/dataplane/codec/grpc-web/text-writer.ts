/**
 * The body of a text answer: gRPC frames in base64. Padding belongs where a frame ends, and there it must be, or the
 * last bytes of a message would wait for the next one; within a frame only whole groups of three bytes are encoded, and
 * up to two bytes wait for those that follow.
 */

/** A flag and four bytes of length. */
const FRAME_HEADER_BYTES = 5;

export class TextWriter {
  /** Bytes of a frame that are not encoded yet: fewer than three. */
  private carry: Buffer = EMPTY;
  /** Of the frame under way: bytes of its header seen, and bytes of its message still to come. */
  private headerSeen = 0;
  private left = 0;

  /** The text for a chunk, perhaps nothing. */
  encode(chunk: Buffer): string {
    const frameEnd = this.lastFrameEnd(chunk);
    let text = '';
    if (frameEnd > 0) text = this.take(chunk.subarray(0, frameEnd)).toString('base64');
    if (frameEnd === chunk.length) return text;
    const bytes = this.take(chunk.subarray(frameEnd));
    const whole = bytes.length - (bytes.length % 3);
    // The chunk may be a view of what will be overwritten.
    this.carry = Buffer.from(bytes.subarray(whole));
    return text + bytes.toString('base64', 0, whole);
  }

  /** The text of the last frame, and of what is left before it. */
  end(frame: Buffer): string {
    return this.take(frame).toString('base64');
  }

  /** `bytes` after what waited. */
  private take(bytes: Buffer): Buffer {
    if (this.carry.length === 0) return bytes;
    const joined = Buffer.concat([this.carry, bytes]);
    this.carry = EMPTY;
    return joined;
  }

  /** Where the last frame ends that ends in this chunk; 0: none does. */
  private lastFrameEnd(chunk: Buffer): number {
    let { headerSeen, left } = this;
    let end = 0;
    for (let at = 0; at < chunk.length; ) {
      if (headerSeen < FRAME_HEADER_BYTES) {
        if (headerSeen++ > 0) left = left * 256 + chunk[at];
        at++;
      } else {
        const taken = Math.min(left, chunk.length - at);
        left -= taken;
        at += taken;
      }
      if (headerSeen === FRAME_HEADER_BYTES && left === 0) {
        headerSeen = 0;
        end = at;
      }
    }
    this.headerSeen = headerSeen;
    this.left = left;
    return end;
  }
}

const EMPTY = Buffer.alloc(0);
