/** A client's connection whose bytes are passed on: the exchange does the rest. */
import { failure } from '../../base/index.ts';
import type { TcpExchange } from '../exchange/index.ts';
import { ByteSocket } from '../transport/index.ts';
import type { ClientLink, ClientUser } from './client-link.ts';
import type { ListenerContext } from './context.ts';

export class TcpConnection implements ClientUser {
  readonly takesTurns = false;
  readonly idleTimer = null;
  private readonly link: ClientLink;
  private readonly context: ListenerContext;
  private readonly stream: ByteSocket;
  private readonly exchange: TcpExchange;

  /** `serverName`: of TLS that is passed through, empty where the client states none; else null. */
  constructor(link: ClientLink, context: ListenerContext, serverName: string | null) {
    this.link = link;
    this.context = context;
    this.stream = new ByteSocket(link.socket, link.raw, link.out);
    this.exchange = context.conductor.connect(context.config, link.facts, this.stream, serverName);
    this.stream.handler = this.exchange;
    this.exchange.begin();
  }

  get active(): number {
    return this.exchange.busy ? 1 : 0;
  }

  onBytes(bytes: Buffer, length: number): void {
    this.stream.onBytes(bytes, length);
  }

  onDrain(): void {
    this.stream.onDrain();
  }

  onPeerEnd(): void {
    this.stream.onPeerEnd();
  }

  onClose(): void {
    this.stream.onClose();
    this.context.onClosed(this.link);
  }

  /** It has no request after which it could end: it lives until the drain's time is over. */
  drain(): void {}

  cutTunnels(): void {
    this.destroy();
  }

  destroy(): void {
    this.exchange.onAborted(failure('shutting-down'));
    this.link.socket.destroy();
  }
}
