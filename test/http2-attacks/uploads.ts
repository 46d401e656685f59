/** Bodies sent on many streams of one connection, as fast as the windows that the proxy gives allow. */
import { data, END_STREAM, TYPE } from '../kit/frames.ts';
import type { FramePeer } from './peer.ts';

const FRAME_BYTES = 16_384;
const SETTING_INITIAL_WINDOW = 4;
const CHUNK = Buffer.alloc(FRAME_BYTES, 'x');

export class Uploads {
  sentBytes = 0;
  private readonly peer: FramePeer;
  private readonly bytes: number;
  private connectionWindow = 65_535;
  /** Left to send, and what may be sent, by stream. */
  private readonly left = new Map<number, number>();
  private readonly windows = new Map<number, number>();

  /** The requests' heads have been sent, and our SETTINGS have come. */
  constructor(peer: FramePeer, ids: readonly number[], bytes: number) {
    this.peer = peer;
    this.bytes = bytes;
    for (const id of ids) {
      this.left.set(id, bytes);
      this.windows.set(id, 65_535);
    }
    for (const { type, flags, stream, payload } of peer.frames) this.take(type, flags, stream, payload);
    peer.onFrame = ({ type, flags, stream, payload }) => {
      this.take(type, flags, stream, payload);
      this.send();
    };
    this.send();
  }

  sentOn(id: number): number {
    return this.bytes - (this.left.get(id) ?? 0);
  }

  private take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === TYPE.windowUpdate) {
      const increment = payload.readUInt32BE(0);
      if (stream === 0) this.connectionWindow += increment;
      else this.windows.set(stream, (this.windows.get(stream) ?? 0) + increment);
    } else if (type === TYPE.settings && flags === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) !== SETTING_INITIAL_WINDOW) continue;
        const more = payload.readUInt32BE(at + 2) - 65_535;
        for (const [id, window] of this.windows) this.windows.set(id, window + more);
      }
    }
  }

  /** A frame of each stream in turn, as long as there is room. */
  private send(): void {
    for (let sent = true; sent && this.connectionWindow > 0; ) {
      sent = false;
      for (const [id, left] of [...this.left]) {
        const window = this.windows.get(id) ?? 0;
        const length = Math.min(left, window, this.connectionWindow, FRAME_BYTES);
        if (length <= 0) continue;
        const isLast = length === left;
        this.peer.send(data(id, CHUNK.subarray(0, length), isLast ? END_STREAM : 0));
        this.connectionWindow -= length;
        this.windows.set(id, window - length);
        this.sentBytes += length;
        // Those that were served stand last: each has its turn.
        this.left.delete(id);
        if (!isLast) this.left.set(id, left - length);
        sent = true;
      }
    }
  }
}
