/**
 * What a listener listens with: takes connections in, and under overload fewer of them. Libuv can't leave connections waiting on
 * a socket that listens, so a worker that is not to accept closes the socket (the system refuses new connections, gives them to
 * other workers, and resets those that wait) and opens another when it may again.
 *
 * A reset costs the worker a tenth of a millisecond, a SYN that the system drops costs it nothing. So a queue that was reset
 * is kept short from then on: as many may wait as are accepted in half the time that is too long, until it is not full any more.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, LIMITS } from '../../base/index.ts';
import type { ListenerConfig } from '../../config/index.ts';
import { type CounterBlock, LISTENER_COUNTER } from '../../telemetry/index.ts';
import type { Overload } from '../policy/index.ts';
import { AcceptGuard, setBacklog } from './accept-guard.ts';

/** What a listener is given to accept with. */
export interface AcceptDependencies {
  readonly clock: Clock;
  readonly counters: CounterBlock;
  readonly random: () => number;
  /** Descriptors that the process may have; Infinity: not known. */
  readonly descriptorsMax: number;
  /** Now and then while there are no descriptors for more connections. */
  readonly onExhausted: (listener: string) => void;
}

export class ListeningSocket {
  private readonly address: Pick<ListenerConfig, 'host' | 'port'>;
  private readonly counters: CounterBlock;
  private readonly server: Server;
  private readonly guard: AcceptGuard;
  /** It has listened; it may have stopped to, for a while. */
  private bound = false;
  /** It is about to listen. */
  private binding = false;
  /** For good. */
  private closed = false;
  /** Connections that may wait. */
  private backlog: number = LIMITS.listenBacklog;
  /** As last asked for. */
  private waitMs = 0;

  constructor(config: ListenerConfig, accept: (socket: Socket) => void, dependencies: AcceptDependencies) {
    const { clock, counters, random, descriptorsMax, onExhausted } = dependencies;
    this.address = { host: config.host, port: config.port };
    this.counters = counters;
    this.server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    this.guard = new AcceptGuard(this.server, clock, random, descriptorsMax, () => onExhausted(config.name));
    this.server.on('connection', (socket) => {
      if (this.mayStay(socket)) accept(socket);
    });
    this.server.on('drop', () => {
      counters.add(LISTENER_COUNTER.downstreamCxOverloadReject, 1);
      this.guard.next();
    });
  }

  /** Starts to listen; rejects with the system's error. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.bind(() => {
        this.server.removeListener('error', reject);
        this.server.on('error', (error: NodeJS.ErrnoException) => this.onError(error));
        this.bound = true;
        resolve();
      });
    });
  }

  /** Stops to listen for good. */
  close(): void {
    this.closed = true;
    this.server.close();
  }

  /**
   * How long a connection that comes now will wait, by the pace of the last `sinceMs`, which were so many turns of the event
   * loop (Infinity: it rested in between); 0: not known. Once a refresh.
   */
  acceptWaitMs(sinceMs: number, turns: number): number {
    this.waitMs = this.server.listening ? this.guard.waitMs(sinceMs, turns) : 0;
    return this.waitMs;
  }

  /** Does what overload, or its end, asks of new connections. */
  meetOverload(overload: Overload | null): void {
    this.guard.reject(overload === null ? 0 : overload.rejects);
    if (this.backlog < LIMITS.listenBacklog && 2 * this.guard.waiting < this.backlog) this.lengthen();
    if (overload?.stopsAccepting === true) this.stopListening();
    else {
      if (overload?.resetsQueue === true && this.waitMs >= overload.resetAboveMs) {
        const { msEach } = this.guard;
        const fit = msEach === 0 ? LIMITS.listenBacklog : overload.resetAboveMs / 2 / msEach;
        this.backlog = Math.ceil(Math.min(LIMITS.listenBacklog, Math.max(LIMITS.overloadBacklogMin, fit)));
        this.stopListening();
      }
      this.listenAgain();
    }
  }

  private bind(onListening: () => void): void {
    this.binding = true;
    const options = { ...this.address, reusePort: true, backlog: this.backlog };
    this.server.listen(options, () => {
      this.binding = false;
      this.guard.listening();
      // The drain began in between.
      if (this.closed) this.server.close();
      onListening();
    });
  }

  private lengthen(): void {
    this.backlog = LIMITS.listenBacklog;
    setBacklog(this.server, this.backlog);
  }

  private stopListening(): void {
    if (this.closed || !this.server.listening) return;
    this.server.close();
    this.counters.add(LISTENER_COUNTER.downstreamCxStopsAccepting, 1);
  }

  private listenAgain(): void {
    if (!this.closed && this.bound && !this.binding && !this.server.listening) this.bind(() => {});
  }

  /** False: its descriptor is kept for endpoints, and it is closed. */
  private mayStay(socket: Socket): boolean {
    this.guard.next();
    if (!this.guard.isReserved(socket)) return true;
    this.counters.add(LISTENER_COUNTER.downstreamCxNoDescriptor, 1);
    socket.destroy();
    return false;
  }

  /**
   * One connection could not be accepted, and its client sees that; the listener goes on. Where descriptors are used up, libuv
   * closes connections without a word as long as it has one in reserve, and this is when another thread took it. Or it could
   * not listen again, and will try to with the next refresh.
   */
  private onError({ code, syscall }: NodeJS.ErrnoException): void {
    this.binding = false;
    if (syscall !== 'accept') return;
    this.counters.add(LISTENER_COUNTER.downstreamCxNoDescriptor, 1);
    if (code === 'EMFILE' || code === 'ENFILE') this.guard.exhausted();
  }
}
