/**
 * The life of one connection whose bytes are passed on, from its first to its close. Read from top to bottom:
 *
 *   begin → route → attempt → (another endpoint? → attempt)* → bytes both ways → both closed → finish
 *
 * Each direction ends on its own: a FIN is passed on when everything before it has been. Whatever else ends the connection
 * is a reset for both, so that nobody takes it for the end of what the other side had to say.
 */
import { type Failure, failure, LIMITS, Timer, type TimerOwner } from '../../../base/index.ts';
import type { ListenerConfig } from '../../../config/index.ts';
import {
  type ByteHandler,
  type ByteStream,
  type ConnectionFacts,
  HeaderList,
} from '../../../message/index.ts';
import {
  AttemptRecord,
  COUNTER,
  type ConnectionCounts,
  type RequestRecord,
} from '../../../telemetry/index.ts';
import type { Preference, UpstreamService } from '../../upstream/index.ts';
import { noteBreaker, noteLimit } from '../attempts/admission.ts';
import type { ExchangeContext } from '../context.ts';
import { TunnelLimits, type TunnelOwner } from '../tunnel-limits.ts';
import { TcpAttempt, type TcpAttemptOwner } from './tcp-attempt.ts';

export class TcpExchange implements ByteHandler, TcpAttemptOwner, TunnelOwner, TimerOwner {
  private readonly context: ExchangeContext;
  private readonly listener: ListenerConfig;
  private readonly client: ByteStream;
  /** Null: not of a TLS connection that is passed through. */
  private readonly serverName: string | null;
  private readonly record: RequestRecord;
  private readonly limits: TunnelLimits;
  /** For a connection slot. */
  private waitTimer: Timer | null = null;
  private service: UpstreamService | null = null;
  private preference: Preference | null = null;
  private counts: ConnectionCounts | null = null;
  private attempt: TcpAttempt | null = null;
  private readonly tried: number[] = [];
  /** What the client sent before there was a connection to the endpoint: one read, then it is paused. */
  private early: Buffer[] = [];
  private clientEnded = false;
  private clientClosed = false;
  private finished = false;

  constructor(
    context: ExchangeContext,
    listener: ListenerConfig,
    facts: ConnectionFacts,
    client: ByteStream,
    serverName: string | null,
  ) {
    this.context = context;
    this.listener = listener;
    this.client = client;
    this.serverName = serverName;
    this.record = beginRecord(context, facts, serverName);
    this.limits = new TunnelLimits(this, context.wheel, listener, this.record);
    context.active++;
  }

  /** Something is under way that a shutdown would cut off. */
  get busy(): boolean {
    return !this.finished;
  }

  /** Routes the connection and starts its first attempt, or refuses it. */
  begin(): void {
    const { context, listener, record } = this;
    const route = context.connectionRoutes.find(listener.name, this.serverName);
    if (route === null) {
      this.fail(failure('no-route', noRoute(listener.name, this.serverName)));
      return;
    }
    record.rule = route.name;
    const backend = route.pick(context.random());
    const service = backend === null ? undefined : context.services.get(backend.service);
    if (backend === null || service === undefined) {
      const none = `route ${route.name} has no backend with a weight`;
      this.fail(failure('no-service', backend?.service ?? none));
      return;
    }
    this.service = service;
    this.preference = this.preferenceFor(service, backend.subset);
    record.service = service.config.name;
    record.serviceSlot = service.config.slot;
    this.counts = context.recorder.openConnection(record);
    this.startAttempt('', service.whyNone(this.preference));
  }

  // The client's side.

  onBytes(chunk: Buffer): void {
    this.limits.touch();
    this.record.requestBytes += chunk.length;
    this.counts?.received(chunk.length);
    if (this.attempt?.connected !== true) {
      this.early.push(Buffer.from(chunk));
      this.client.pause();
    } else if (!this.attempt.write(chunk)) this.client.pause();
  }

  onEnd(): void {
    this.limits.touch();
    this.clientEnded = true;
    if (this.attempt?.connected === true) this.attempt.sendEnd();
  }

  onWritable(): void {
    this.limits.touch();
    this.attempt?.resume();
  }

  onClosed(cutBy: string): void {
    this.clientClosed = true;
    this.attempt?.stopCounting();
    if (cutBy !== '') this.onAborted(failure('downstream-gone', cutBy));
    else if (this.attempt === null) this.finish();
  }

  /** The client's connection must end now. */
  onAborted(why: Failure): void {
    if (!this.finished) this.fail(why);
  }

  // The attempt's side.

  onAttemptConnected(): void {
    const attempt = this.attempt as TcpAttempt;
    const { early } = this;
    this.limits.touch();
    if (this.waitTimer !== null) this.context.wheel.cancel(this.waitTimer);
    this.early = [];
    let open = true;
    for (const chunk of early) open = attempt.write(chunk);
    if (this.clientEnded) attempt.sendEnd();
    else if (open) this.client.resume();
  }

  onAttemptBytes(chunk: Buffer): void {
    this.limits.touch();
    this.record.responseBytes += chunk.length;
    this.counts?.sent(chunk.length);
    if (!this.client.write(chunk)) this.attempt?.pause();
  }

  onAttemptEnd(): void {
    this.limits.touch();
    this.client.end();
  }

  onAttemptWritable(): void {
    this.limits.touch();
    this.client.resume();
  }

  onAttemptFailed(why: Failure): void {
    const attempt = this.attempt as TcpAttempt;
    this.attempt = null;
    if (attempt.connected || why.retry !== 'yes') this.fail(why);
    else {
      this.tried.push(attempt.endpointIndex);
      this.startAttempt('connect-failure', why);
    }
  }

  onAttemptClosed(): void {
    this.attempt = null;
    if (this.clientClosed) this.finish();
  }

  onTunnelOver(why: Failure): void {
    this.fail(why);
  }

  /** It has waited too long for a slot. */
  onTimer(): void {
    const service = this.service as UpstreamService;
    const { maxConnections } = service.config.circuitBreaker;
    noteLimit(this.record, 'circuitBreaker.maxConnections', maxConnections, service.observed('connections'));
    this.fail(failure('max-pending', `no connection slot came free within ${LIMITS.slotWaitMs} ms`));
  }

  /**
   * Connects to an endpoint that was not tried yet. Nothing has been sent to any of those, so it is safe whatever is spoken.
   * `otherwise`: why the connection fails where there is none.
   */
  private startAttempt(reason: string, otherwise: Failure): void {
    const { context, record, tried } = this;
    const service = this.service as UpstreamService;
    if (tried.length >= LIMITS.tcpConnectAttempts) {
      record.retryRefused = 'attempts';
      this.fail(otherwise);
      return;
    }
    const picked = service.removed ? null : service.pick(tried, this.preference, false);
    if (picked === null || tried.includes(picked.index)) {
      if (picked !== null) {
        service.report(picked, 'abandoned', -1);
        service.releaseEndpoint(picked);
      } else service.counters.add(COUNTER.upstreamCxNoneHealthy, 1);
      if (tried.length > 0) record.retryRefused = 'no-endpoint';
      this.fail(otherwise);
      return;
    }
    const made = new AttemptRecord(record.service, context.clock.nowMs(), 0, reason);
    made.endpoint = picked.address;
    made.choice = picked.choice;
    record.attempts.push(made);
    this.awaitSlot(service.config.connectTimeoutMs);
    const account = context.callers.accountOf(record.facts.caller);
    this.attempt = new TcpAttempt(this, record.facts, service, picked, made, context.clock, account);
    this.attempt.start();
  }

  /** A key of bytes is the client's address. */
  private preferenceFor({ config }: UpstreamService, subset: string): Preference | null {
    if (config.loadBalancer.consistentHash === null && subset === '') return null;
    return { key: this.record.facts.remoteAddress, subset, session: '' };
  }

  /** Dialling has a limit of its own, so that what takes longer than both has waited for a slot. */
  private awaitSlot(connectTimeoutMs: number): void {
    this.waitTimer ??= new Timer(this, 0);
    this.context.wheel.cancel(this.waitTimer);
    this.context.wheel.arm(this.waitTimer, LIMITS.slotWaitMs + connectTimeoutMs);
  }

  /** Ends both connections by a reset. */
  private fail(why: Failure): void {
    const { attempt, record, service } = this;
    record.failure = why;
    if (why.kind === 'max-pending' && service !== null && record.limit === '')
      noteBreaker(record, service, 'pending');
    attempt?.cancel(why);
    if (!this.clientClosed) this.client.reset();
    this.finish();
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    const { context, record } = this;
    this.limits.end();
    if (this.waitTimer !== null) context.wheel.cancel(this.waitTimer);
    this.attempt = null;
    this.early = [];
    record.endMs = context.clock.nowMs();
    context.active--;
    // Opened and closed count the same connections, those that reached no service too.
    if (this.counts === null) context.recorder.openConnection(record);
    context.recorder.finish(record);
  }
}

function beginRecord(
  { recorder }: ExchangeContext,
  facts: ConnectionFacts,
  serverName: string | null,
): RequestRecord {
  const record = recorder.begin(serverName === null ? facts : withServerName(facts, serverName));
  record.protocol = 'TCP';
  record.authority = serverName ?? '';
  record.requestId = recorder.ensureRequestId(HeaderList.empty());
  return record;
}

/** Nothing else is known of TLS that is passed through. */
function withServerName(facts: ConnectionFacts, sni: string): ConnectionFacts {
  return { ...facts, tls: { protocol: '', cipher: '', sni, alpn: '', resumed: false, peer: null } };
}

function noRoute(listener: string, serverName: string | null): string {
  if (serverName === null) return `no TCP route of listener ${listener}`;
  const name = serverName === '' ? 'a client that states no server name' : `server name ${serverName}`;
  return `no TLS route of listener ${listener} for ${name}`;
}
