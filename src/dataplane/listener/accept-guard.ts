/**
 * Which new connections are closed at once, before anything is read of them. Overload: a share of them
 * (reject_incoming_connections), which the server drops by itself, at a fifth of what a socket costs. Descriptors: those whose
 * number is in the reserve. The system gives the lowest number that is free, so below it all are in use: exact over all threads
 * without counting. The reserve is for connections to endpoints, without which those of clients would be of no use.
 */
import type { AddressInfo, Server, Socket } from 'node:net';
import { acceptQueue, type Clock, LIMITS, socketInode } from '../../base/index.ts';

export class AcceptGuard {
  private readonly server: Server;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly firstReserved: number;
  private readonly onExhausted: () => void;
  private share = 0;
  /** Since the last look. */
  private accepted = 0;
  /** As of the last look: how many wait, and how long it takes to accept one. */
  waiting = 0;
  msEach = 0;
  private family: 'IPv4' | 'IPv6' = 'IPv4';
  private inode: number | null = null;
  private toldMs = Number.NEGATIVE_INFINITY;

  /** `descriptorsMax`: of the process; Infinity: not known. `onExhausted`: now and then while the reserve is touched. */
  constructor(
    server: Server,
    clock: Clock,
    random: () => number,
    descriptorsMax: number,
    onExhausted: () => void,
  ) {
    this.server = server;
    this.clock = clock;
    this.random = random;
    this.firstReserved = descriptorsMax - Math.ceil(descriptorsMax * LIMITS.reservedDescriptors);
    this.onExhausted = onExhausted;
  }

  /** From now on this share of new connections is dropped, 0 to 1. */
  reject(share: number): void {
    if (share === this.share) return;
    this.share = share;
    this.draw();
  }

  /** Decides on the connection after this one; after every connection that was taken or dropped. */
  next(): void {
    this.accepted++;
    if (this.share > 0) this.draw();
  }

  /** The server listens, on a socket that may be a new one. */
  listening(): void {
    const { _handle: handle } = this.server as unknown as WithHandle;
    this.family = (this.server.address() as AddressInfo).family === 'IPv6' ? 'IPv6' : 'IPv4';
    this.inode = socketInode(handle?.fd ?? -1);
    this.accepted = 0;
  }

  /**
   * How long a connection that comes now will wait: see ListeningSocket. While some wait, the server accepts one in each turn; so the
   * system is asked only where it was one in every other turn at least.
   */
  waitMs(sinceMs: number, turns: number): number {
    const mayWait = 2 * this.accepted + 1 >= turns;
    this.waiting = this.inode !== null && mayWait ? acceptQueue(this.family, this.inode) : 0;
    this.msEach = sinceMs / Math.max(1, this.accepted);
    this.accepted = 0;
    return this.waiting * this.msEach;
  }

  /** The descriptor of an accepted connection is one of the reserve. */
  isReserved(socket: Socket): boolean {
    if (descriptorOf(socket) < this.firstReserved) return false;
    this.exhausted();
    return true;
  }

  /** There is no descriptor left for a connection. */
  exhausted(): void {
    const nowMs = this.clock.nowMs();
    if (nowMs - this.toldMs < LIMITS.exhaustedLogMs) return;
    this.toldMs = nowMs;
    this.onExhausted();
  }

  private draw(): void {
    this.server.maxConnections = this.random() < this.share ? 0 : Number.POSITIVE_INFINITY;
  }
}

/** Changes how many may wait, at once; those that wait already stay. */
export function setBacklog(server: Server, backlog: number): void {
  (server as unknown as WithHandle)._handle?.listen?.(backlog);
}

interface WithHandle {
  readonly _handle: { readonly fd?: number; listen?(backlog: number): number } | null;
}

/** -1 where the system has no numbers. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as WithHandle;
  return handle?.fd ?? -1;
}
