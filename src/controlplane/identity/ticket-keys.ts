/**
 * The keys that seal session tickets, common to all workers so that a client may resume on any of them.
 * A key that leaks opens the recorded TLS 1.2 sessions it sealed, so keys live in memory only and change:
 * each is published a period before its first use, lest one worker meet a ticket of a key it has not
 * heard of yet, and is accepted for a period after its last.
 */
import { randomBytes } from 'node:crypto';
import { TICKET_KEY_BYTES } from '../../config/index.ts';

export interface TicketKeyOptions {
  /** Milliseconds a key seals for. Default 12 h; sessions live for 2 h. */
  readonly rotateMs?: number;
  /** 48 random bytes; for tests. */
  readonly generate?: () => Uint8Array;
  /** Called with the keys in use, the sealing one first: at once, and at every rotation. */
  publish(keys: readonly Uint8Array[]): void;
}

const TWELVE_HOURS_MS = 12 * 3_600_000;

export class TicketKeyRing {
  private readonly rotateMs: number;
  private readonly generate: () => Uint8Array;
  private readonly publish: (keys: readonly Uint8Array[]) => void;
  private current: Uint8Array;
  private next: Uint8Array;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: TicketKeyOptions) {
    this.rotateMs = options.rotateMs ?? TWELVE_HOURS_MS;
    this.generate = options.generate ?? (() => randomBytes(TICKET_KEY_BYTES));
    this.publish = options.publish;
    this.current = this.generate();
    this.next = this.generate();
    this.publish([this.current, this.next]);
  }

  /** Rotates every `rotateMs` from now on; keeps no process alive. */
  start(): void {
    this.timer ??= setInterval(() => this.rotate(), this.rotateMs).unref();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  rotate(): void {
    const previous = this.current;
    this.current = this.next;
    this.next = this.generate();
    this.publish([this.current, this.next, previous]);
  }
}
