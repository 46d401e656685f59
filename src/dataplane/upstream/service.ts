/**
 * One service as a worker sees it: its endpoints to pick from, its connections, and its place in the
 * node's ledger. The exchange asks it for admission, an endpoint and a connection, and tells it what
 * became of each attempt; every count behind those answers is the node's, not this worker's.
 */
import { type Clock, type Failure, failure, type TimerWheel } from '../../base/index.ts';
import type { PeakEwmaConfig, SecretSet, ServiceConfig } from '../../config/index.ts';
import {
  AVAILABLE,
  FAILED,
  GAUGE,
  isProbe,
  OUTLIER,
  type OutlierPolicy,
  RESULT,
  type WorkerLedger,
} from '../../ledger/index.ts';
import type { HeaderList } from '../../message/index.ts';
import { COUNTER, type CounterBlock } from '../../telemetry/index.ts';
import type { Surroundings } from '../balancer/index.ts';
import { GradientController, LatencyWindow } from '../policy/index.ts';
import { Dialer } from '../transport/index.ts';
import { Candidates, type PickedEndpoint, type Preference } from './candidates.ts';
import { countClosed, countConnected, countConnectFailure, countDialled } from './connection-counters.ts';
import { ServicePool } from './service-pool.ts';
import type { Waiter } from './waiter.ts';

/** What the outlier detector is told of an attempt. */
export type AttemptOutcome = 'success' | 'serverError' | 'gatewayError' | 'localOrigin' | 'abandoned';

export class UpstreamService {
  config: ServiceConfig;
  /** It left the configuration; its place in the ledger may soon be another's. */
  removed = false;
  /** No copies of requests are sent to it before. */
  mirrorsFromMs = 0;
  readonly counters: CounterBlock;
  private readonly ledger: WorkerLedger;
  private readonly clock: Clock;
  /** Finds how many requests it takes; null: off. */
  adaptive: GradientController | null;
  private readonly random: () => number;
  private readonly pool: ServicePool;
  private readonly candidates: Candidates;
  private dialer: Dialer;
  /** For bytes, where that differs; null: not needed so far. */
  private tcpDialer: Dialer | null = null;
  private secrets: SecretSet;
  private outlier: OutlierPolicy | null;
  private attemptLatency: LatencyWindow | null = null;

  constructor(
    config: ServiceConfig,
    secrets: SecretSet,
    ledger: WorkerLedger,
    counters: CounterBlock,
    wheel: TimerWheel,
    clock: Clock,
    random: () => number,
    around: Surroundings,
  ) {
    this.config = config;
    this.secrets = secrets;
    this.counters = counters;
    this.ledger = ledger;
    this.clock = clock;
    this.random = random;
    this.adaptive = this.gradientOf(config);
    this.candidates = new Candidates(config, ledger, counters, random, around);
    this.outlier = outlierPolicy(config);
    this.dialer = new Dialer(config.tls, alpnOf(config), secrets, clock);
    this.pool = new ServicePool(config, ledger, wheel, clock, this.dialer, () => this.dialerForTcp(), {
      onDialled: () => countDialled(counters),
      onConnected: (connection) => countConnected(counters, connection),
      onConnectFailed: (why) => countConnectFailure(counters, why),
      onClosed: (link, connection) => countClosed(counters, link, connection),
      onQueued: () => counters.add(COUNTER.upstreamRqPendingTotal, 1),
    });
  }

  /** Takes a newer configuration of the same service. Requests under way keep what they have. */
  update(config: ServiceConfig, secrets: SecretSet): void {
    const sameTls =
      config.protocol === this.config.protocol &&
      config.proxyProtocol === this.config.proxyProtocol &&
      JSON.stringify(config.tls) === JSON.stringify(this.config.tls);
    this.secrets = secrets;
    if (!sameTls) {
      this.dialer = new Dialer(config.tls, alpnOf(config), secrets, this.clock);
      this.tcpDialer = null;
    }
    if (config.adaptiveConcurrency !== this.config.adaptiveConcurrency)
      this.adaptive = this.gradientOf(config);
    this.config = config;
    this.candidates.update(config);
    this.outlier = outlierPolicy(config);
    this.pool.update(config, this.dialer);
  }

  updateSecrets(secrets: SecretSet): void {
    this.secrets = secrets;
    this.dialer.update(secrets);
    this.tcpDialer?.update(secrets);
  }

  /** The service was removed: connections close as they become idle, and nothing more may start. */
  close(): void {
    this.removed = true;
    this.pool.close();
  }

  /** Cuts off every connection; resolves when the last one is closed. */
  destroy(): Promise<void> {
    return this.pool.destroy();
  }

  /** Connections that are open, or about to be. */
  get connections(): number {
    return this.pool.size;
  }

  /** Another worker waits for one of this service's connection slots. */
  onWanted(): void {
    this.pool.onWanted();
  }

  /** Counts a new request, whose retries the budget is measured against. */
  recordRequest(): void {
    const { slot, retryBudget } = this.config;
    if (retryBudget !== null) this.ledger.budgets.recordRequest(slot, this.clock.nowMs(), retryBudget);
  }

  /** A new request earns `percent` of an attempt beside one that is slow. */
  earnHedge(percent: number): void {
    this.ledger.hedges.earn(this.config.slot, percent);
  }

  /** Asks leave for an attempt beside one that is slow; false: the requests of all workers have not earned it. */
  acquireHedge(): boolean {
    return this.ledger.hedges.spend(this.config.slot);
  }

  /** Of attempts, as those who hedge by it tell. */
  get latency(): LatencyWindow {
    this.attemptLatency ??= new LatencyWindow();
    return this.attemptLatency;
  }

  /** Takes one of the node's maxRequests; false: the breaker is open. */
  acquireRequest(): boolean {
    return this.ledger.gauges.acquire(
      this.config.slot,
      GAUGE.requests,
      this.config.circuitBreaker.maxRequests,
    );
  }

  releaseRequest(slot: number): void {
    this.ledger.gauges.release(slot, GAUGE.requests);
  }

  /**
   * Asks leave for one retry: of the budget, or where that is switched off of maxRetries, whose unit is
   * held until `releaseRetry`.
   */
  acquireRetry(): 'yes' | 'budget' | 'max-retries' {
    const { slot, retryBudget, circuitBreaker } = this.config;
    if (retryBudget !== null) {
      return this.ledger.budgets.tryRetry(slot, this.clock.nowMs(), retryBudget) ? 'yes' : 'budget';
    }
    return this.ledger.gauges.acquire(slot, GAUGE.retries, circuitBreaker.maxRetries) ? 'yes' : 'max-retries';
  }

  /** Whether a retry granted now holds a unit of maxRetries. */
  get retriesAreGauged(): boolean {
    return this.config.retryBudget === null;
  }

  releaseRetry(slot: number): void {
    this.ledger.gauges.release(slot, GAUGE.retries);
  }

  /**
   * Picks and admits an endpoint, other than those in `tried` if possible; null: none may be used. `preference`: what the
   * request says to it; null: nothing. `keepsSession`: see Candidates.
   */
  pick(
    tried: readonly number[],
    preference: Preference | null,
    keepsSession: boolean,
  ): PickedEndpoint | null {
    return this.candidates.pick(tried, preference, keepsSession, this.clock.nowMs());
  }

  /** Why `pick` found none. */
  whyNone(preference: Preference | null): Failure {
    const { config } = this;
    if (preference !== null && preference.subset !== '' && !this.candidates.has(preference.subset))
      return failure('no-endpoint', `subset ${preference.subset} of ${config.name} has no endpoints`);
    if (preference !== null && preference.session !== '' && config.sessionPersistence?.strict === true)
      return failure('no-endpoint', `the endpoint of the session, ${preference.session}, may not be used`);
    return noEndpoint(config);
  }

  /** May a request that waits for a connection go to this endpoint instead of the one it chose? */
  mayMove(picked: PickedEndpoint, slot: number, tried: readonly number[]): boolean {
    return (
      this.candidates.mayMove(picked, slot, tried) &&
      this.ledger.endpoints.availability(slot, this.clock.nowMs()) === AVAILABLE.yes
    );
  }

  /** Gives `from` back and takes the endpoint at `slot`, which `mayMove` allowed. */
  move(from: PickedEndpoint, slot: number): PickedEndpoint {
    this.report(from, 'abandoned', -1);
    this.ledger.endpoints.release(from.endpoint.slot);
    return this.candidates.moved(from, slot);
  }

  /** Gives a connection to `waiter`, now or later; the failure where it may not even wait. */
  checkout(waiter: Waiter): Failure | null {
    return this.pool.checkout(waiter);
  }

  abandonCheckout(waiter: Waiter): void {
    this.pool.abandon(waiter);
  }

  /** Takes the endpoint of an answer out where it asks for that, and active checks can bring it back, as Envoy does. */
  heedHealth({ endpoint }: PickedEndpoint, headers: HeaderList): void {
    if (this.config.healthCheck !== null && headers.has('x-envoy-immediate-health-check-fail'))
      this.ledger.endpoints.failHealth(endpoint.slot);
  }

  /**
   * An answer has begun whose outcome may be long in coming: its latency is known, and a probe ends the ejection. Returns
   * what is to be reported in place of `picked`, without `sentMs`.
   */
  begun(picked: PickedEndpoint, sentMs: number): PickedEndpoint {
    const { endpoints } = this.ledger;
    const { slot } = picked.endpoint;
    const { peakEwma } = this.config.loadBalancer;
    if (peakEwma !== null) this.observeLatency(slot, 'success', sentMs, peakEwma);
    if (!isProbe(picked.ticket)) return picked;
    endpoints.reportSuccess(slot, picked.ticket, this.clock.nowMs());
    return { ...picked, ticket: endpoints.admitInPanic(slot) };
  }

  /**
   * Tells the outlier detector how an attempt went: exactly once for each `pick`. `sentMs`: when it was sent, from which its
   * endpoint's latency is measured; -1: it was not, or that is done. True: that ejected the endpoint.
   */
  report(picked: PickedEndpoint, outcome: AttemptOutcome, sentMs: number): boolean {
    const { endpoints } = this.ledger;
    const { slot } = picked.endpoint;
    const { peakEwma } = this.config.loadBalancer;
    if (peakEwma !== null && sentMs >= 0) this.observeLatency(slot, outcome, sentMs, peakEwma);
    if (this.outlier !== null && outcome !== 'abandoned') endpoints.count(slot, RESULT[outcome]);
    if (outcome === 'success') endpoints.reportSuccess(slot, picked.ticket, this.clock.nowMs());
    else if (outcome === 'abandoned' || this.outlier === null) endpoints.abandon(slot, picked.ticket);
    else {
      const hosts = this.config.endpoints.length;
      const nowMs = this.clock.nowMs();
      const led = endpoints.reportFailure(slot, picked.ticket, FAILED[outcome], nowMs, hosts, this.outlier);
      return led === OUTLIER.ejected;
    }
    return false;
  }

  /** What failed fast says nothing of how long answers take; what was waited for in vain, that they take longer. */
  private observeLatency(
    slot: number,
    outcome: AttemptOutcome,
    sentMs: number,
    { decayMs, defaultRttMs }: PeakEwmaConfig,
  ): void {
    const { endpoints } = this.ledger;
    const nowMs = this.clock.nowMs();
    const answered = outcome !== 'localOrigin' && outcome !== 'abandoned';
    const tookMs = nowMs - sentMs;
    if (answered || tookMs > endpoints.latencyMs(slot, nowMs, decayMs, defaultRttMs))
      endpoints.observeLatency(slot, tookMs, nowMs, decayMs);
  }

  /** The endpoint's active request is over. */
  releaseEndpoint(picked: PickedEndpoint): void {
    this.ledger.endpoints.release(picked.endpoint.slot);
  }

  private gradientOf({ adaptiveConcurrency, slot }: ServiceConfig): GradientController | null {
    if (adaptiveConcurrency === null) return null;
    return new GradientController(adaptiveConcurrency, slot, this.ledger, this.random, this.clock.nowMs());
  }

  /** Nobody here knows what the bytes are, so ALPN offers nothing. */
  private dialerForTcp(): Dialer {
    const { config } = this;
    if (config.tls === null || alpnOf(config).length === 0) return this.dialer;
    this.tcpDialer ??= new Dialer(config.tls, [], this.secrets, this.clock);
    return this.tcpDialer;
  }

  /** Value and limit of a gauge, for decision records. */
  observed(gauge: keyof typeof GAUGE): number {
    return this.ledger.gauges.active(this.config.slot, GAUGE[gauge]);
  }
}

/** What a missing endpoint is called: none configured, or none that may be used. */
export function noEndpoint(service: ServiceConfig): Failure {
  return failure(
    'no-endpoint',
    service.endpoints.length === 0
      ? `service ${service.name} has no endpoints`
      : `none of the ${service.endpoints.length} endpoints of ${service.name} may be used`,
  );
}

/** What is offered over TLS. */
function alpnOf({ protocol }: ServiceConfig): readonly string[] {
  switch (protocol) {
    case 'auto':
      return ['h2', 'http/1.1'];
    case 'http':
      return ['http/1.1'];
    case 'tcp':
      return [];
    default:
      return ['h2'];
  }
}

function outlierPolicy(config: ServiceConfig): OutlierPolicy | null {
  return config.outlierDetection === null
    ? null
    : { ...config.outlierDetection, splitExternalLocalOriginErrors: true };
}
