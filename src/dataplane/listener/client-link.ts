/**
 * A client's connection, whatever is spoken on it: its sockets, its facts, and who speaks on it now. The user changes
 * when it has become clear what the client speaks.
 */
import type { Socket } from 'node:net';
import type { ConnectionFacts } from '../../message/index.ts';
import { type BufferAccount, readInto, SocketOut } from '../transport/index.ts';

export interface ClientUser {
  /** Requests under way, and connections whose bytes are passed on. */
  readonly active: number;
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

export class ClientLink {
  readonly socket: Socket;
  /** The TCP socket; under TLS another than `socket`. */
  readonly raw: Socket;
  readonly facts: ConnectionFacts;
  readonly out: SocketOut;
  private current: ClientUser | null = null;

  /** `account`: of its caller. */
  constructor(socket: Socket, raw: Socket, facts: ConnectionFacts, account: BufferAccount | null) {
    this.socket = socket;
    this.raw = raw;
    this.facts = facts;
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
    readInto(socket, (length, bytes) => this.user.onBytes(bytes as Buffer, length));
    socket.on('drain', () => {
      this.out.onDrain();
      this.user.onDrain();
    });
    socket.on('end', () => this.user.onPeerEnd());
    socket.on('error', () => {}); // 'close' follows and does what is to be done
    socket.on('close', () => {
      this.out.onClose();
      this.user.onClose();
    });
    socket.resume();
  }

  /** Another speaks on it from now on. */
  handOver(user: ClientUser): void {
    this.current = user;
  }
}
