/**
 * One attempt to connect a client with one endpoint, and the endpoint's connection until it is closed. It holds what the
 * attempt holds (an endpoint's active count, a place in the queue or a connection) and gives each back exactly once.
 *
 * States: `waiting` (for a connection) → `connected` → `ended`. Connecting is what the outlier detector judges: of bytes
 * that nobody reads nothing else can be said.
 */
import { type Clock, type Failure, failure } from '../../../base/index.ts';
import type { EndpointConfig } from '../../../config/index.ts';
import type { ByteHandler, ConnectionFacts } from '../../../message/index.ts';
import type { AttemptRecord } from '../../../telemetry/index.ts';
import type { BufferAccount } from '../../transport/index.ts';
import type {
  AttemptOutcome,
  PickedEndpoint,
  TcpUpstreamConnection,
  TcpWaiter,
  UpstreamService,
} from '../../upstream/index.ts';

/** What the exchange is told; the last two are the last word of the attempt. */
export interface TcpAttemptOwner {
  onAttemptConnected(): void;
  onAttemptBytes(chunk: Buffer): void;
  /** The endpoint has closed its side. */
  onAttemptEnd(): void;
  onAttemptWritable(): void;
  /** It could not be reached, or the connection was cut off. */
  onAttemptFailed(why: Failure): void;
  /** The connection is closed, both its sides having ended. */
  onAttemptClosed(): void;
}

type State = 'waiting' | 'connected' | 'ended';

export class TcpAttempt implements TcpWaiter, ByteHandler {
  readonly client: ConnectionFacts;
  readonly record: AttemptRecord;
  private readonly owner: TcpAttemptOwner;
  private readonly service: UpstreamService;
  private readonly picked: PickedEndpoint;
  private readonly clock: Clock;
  private readonly account: BufferAccount | null;
  private state: State = 'waiting';
  private connection: TcpUpstreamConnection | null = null;
  private reported = false;

  /** `account`: of the client. */
  constructor(
    owner: TcpAttemptOwner,
    client: ConnectionFacts,
    service: UpstreamService,
    picked: PickedEndpoint,
    record: AttemptRecord,
    clock: Clock,
    account: BufferAccount | null,
  ) {
    this.owner = owner;
    this.client = client;
    this.service = service;
    this.picked = picked;
    this.record = record;
    this.clock = clock;
    this.account = account;
  }

  /** Asks for a connection; outcomes come as calls to the owner, a refusal before this returns. */
  start(): void {
    const refused = this.service.checkout(this);
    if (refused !== null) this.fail(refused, 'abandoned');
  }

  /** Index of the endpoint in the service's list. */
  get endpointIndex(): number {
    return this.picked.index;
  }

  /** A byte may have been sent, so that nobody else can be tried. */
  get connected(): boolean {
    return this.record.connected;
  }

  /** Only while connected, as the three that follow. */
  write(chunk: Buffer): boolean {
    return this.connection === null || this.connection.stream.write(chunk);
  }

  sendEnd(): void {
    this.connection?.stream.end();
  }

  pause(): void {
    this.connection?.stream.pause();
  }

  resume(): void {
    this.connection?.stream.resume();
  }

  /** The client is gone: what still waits for the endpoint counts for nobody. */
  stopCounting(): void {
    this.connection?.stopCounting();
  }

  /** Ends it from our side. */
  cancel(why: Failure): void {
    if (this.state === 'ended') return;
    const { connection } = this;
    this.record.failure = why;
    this.end('abandoned');
    if (connection === null) this.service.abandonCheckout(this);
    else connection.stream.reset();
  }

  // TcpWaiter

  get endpoint(): EndpointConfig {
    return this.picked.endpoint;
  }

  onTcpConnection(connection: TcpUpstreamConnection): void {
    this.state = 'connected';
    this.connection = connection;
    this.record.connected = true;
    this.record.connectMs = this.clock.nowMs() - this.record.startMs;
    this.report('success');
    connection.begin(this, this.account);
    this.owner.onAttemptConnected();
  }

  onConnectFailed(why: Failure): void {
    // What this proxy lacks is no fault of the endpoint.
    this.fail(why, why.origin === 'proxy' ? 'abandoned' : 'localOrigin');
  }

  onDisplaced(why: Failure): void {
    this.fail(why, 'abandoned');
  }

  // ByteHandler

  onBytes(chunk: Buffer): void {
    this.owner.onAttemptBytes(chunk);
  }

  onEnd(): void {
    this.owner.onAttemptEnd();
  }

  onWritable(): void {
    this.owner.onAttemptWritable();
  }

  onClosed(cutBy: string): void {
    if (cutBy !== '') {
      this.fail(failure('upstream-reset', cutBy), 'abandoned');
      return;
    }
    this.end('abandoned');
    this.owner.onAttemptClosed();
  }

  private fail(why: Failure, outcome: AttemptOutcome): void {
    if (this.state === 'ended') return;
    this.record.failure = why;
    this.end(outcome);
    this.owner.onAttemptFailed(why);
  }

  private report(outcome: AttemptOutcome): void {
    if (this.reported) return;
    this.reported = true;
    this.record.ejectedEndpoint = this.service.report(this.picked, outcome, this.record.startMs);
  }

  private end(outcome: AttemptOutcome): void {
    this.state = 'ended';
    this.stopCounting();
    this.connection = null;
    this.record.endMs = this.clock.nowMs();
    this.report(outcome);
    this.service.releaseEndpoint(this.picked);
  }
}
