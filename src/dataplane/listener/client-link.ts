/**
 * A client's connection, whatever is spoken on it: its sockets, its facts, and who speaks on it now. The user changes
 * when it has become clear what the client speaks.
 */
import type { Socket } from 'node:net';
import type { Timer } from '../../base/index.ts';
import type { ConnectionFacts } from '../../message/index.ts';
import { type BufferAccount, readInto, SocketOut } from '../transport/index.ts';
import type { ReadTurns } from './read-turns.ts';

export interface ClientUser {
  /** What it is sent makes work, for which its caller takes turns with others. */
  readonly takesTurns: boolean;
  /** Requests under way, and connections whose bytes are passed on. */
  readonly active: number;
  /** Of its idle timeout; null: something is under way. */
  readonly idleTimer: Timer | null;
  /** `bytes[0, length)` are valid only during the call. */
  onBytes(bytes: Buffer, length: number): void;
  /** More may be written. */
  onDrain(): void;
  /** The client has closed its side. */
  onPeerEnd(): void;
  /** The descriptor is closed; the last call. */
  onClose(): void;
  /** Ends the connection when nothing is under way on it, and takes no more than its protocol demands. */
  drain(): void;
  /** Cuts off what has no end of its own: tunnels, and connections whose bytes are passed on. */
  cutTunnels(): void;
  /** Cuts it off, whatever is under way. */
  destroy(): void;
}

const LINK = Symbol('link');
type LinkedSocket = Socket & { [LINK]: ClientLink };

// One function for all connections: one each per connection is a twentieth of what a connection holds.

function onDrain(this: Socket): void {
  (this as LinkedSocket)[LINK].onDrain();
}

function onEnd(this: Socket): void {
  (this as LinkedSocket)[LINK].user.onPeerEnd();
}

/** `close` follows, and does what is to be done. */
function onError(): void {}

function onClose(this: Socket): void {
  (this as LinkedSocket)[LINK].onClose();
}

export class ClientLink {
  readonly socket: Socket;
  /** The TCP socket; under TLS another than `socket`. */
  readonly raw: Socket;
  readonly facts: ConnectionFacts;
  readonly out: SocketOut;
  private current: ClientUser | null = null;
  private readonly turns: ReadTurns;
  /** Its user wants to read. */
  private reading = true;
  /** Bytes of it that wait for its caller's turn; null: none do. */
  held: Buffer[] | null = null;

  /** `account`: of its caller. */
  constructor(
    socket: Socket,
    raw: Socket,
    facts: ConnectionFacts,
    turns: ReadTurns,
    account: BufferAccount | null,
  ) {
    this.socket = socket;
    this.raw = raw;
    this.facts = facts;
    this.turns = turns;
    this.out = new SocketOut(socket);
    this.out.account = account;
  }

  get user(): ClientUser {
    return this.current as ClientUser;
  }

  /** Begins to read for its first user. */
  start(user: ClientUser): void {
    const { socket } = this;
    this.current = user;
    readInto(socket, (length, bytes) => this.turns.onRead(this, bytes as Buffer, length));
    (socket as LinkedSocket)[LINK] = this;
    socket.on('drain', onDrain);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.resume();
  }

  onDrain(): void {
    this.out.onDrain();
    this.user.onDrain();
  }

  onClose(): void {
    this.turns.forget(this);
    this.out.stopCounting();
    this.user.onClose();
  }

  /** Stops or resumes reading. */
  pause(): void {
    this.reading = false;
    this.socket.pause();
  }

  resume(): void {
    this.reading = true;
    if (this.held === null) this.socket.resume();
  }

  /** Its caller's turn is over; what was read of it is put in `parts`. */
  hold(parts: Buffer[]): void {
    this.held = parts;
    this.socket.pause();
  }

  /** All of that has been worked on. */
  release(): void {
    if (this.reading) this.socket.resume();
  }

  /** Another speaks on it from now on. */
  handOver(user: ClientUser): void {
    this.current = user;
  }
}
