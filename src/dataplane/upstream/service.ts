/**
 * One service as a worker sees it: its endpoints to pick from, its connections, and its place in the
 * node's ledger. The exchange asks it for admission, an endpoint and a connection, and tells it what
 * became of each attempt; every count behind those answers is the node's, not this worker's.
 */
import { type Clock, type Failure, failure, type TimerWheel } from '../../base/index.ts';
import type { EndpointConfig, SecretSet, ServiceConfig } from '../../config/index.ts';
import { AVAILABLE, FAILED, GAUGE, type OutlierPolicy, type WorkerLedger } from '../../ledger/index.ts';
import { COUNTER, type CounterBlock } from '../../telemetry/index.ts';
import { compilePicker, type Picker, PickState } from '../balancer/index.ts';
import { LatencyWindow } from '../policy/index.ts';
import { addressOf, Dialer } from '../transport/index.ts';
import { countClosed, countConnected, countConnectFailure, countDialled } from './connection-counters.ts';
import { ServicePool } from './service-pool.ts';
import type { Waiter } from './waiter.ts';

/** What the outlier detector is told of an attempt. */
export type AttemptOutcome = 'success' | 'serverError' | 'gatewayError' | 'localOrigin' | 'abandoned';

/** An endpoint that was picked and admitted; given back by `UpstreamService.report`, once. */
export interface PickedEndpoint {
  readonly endpoint: EndpointConfig;
  /** As `addressOf` has it. */
  readonly address: string;
  readonly index: number;
  readonly ticket: number;
}

export class UpstreamService {
  config: ServiceConfig;
  /** It left the configuration; its place in the ledger may soon be another's. */
  removed = false;
  readonly counters: CounterBlock;
  private readonly ledger: WorkerLedger;
  private readonly clock: Clock;
  private readonly pool: ServicePool;
  private readonly pickState: PickState;
  private picker: Picker;
  /** Of each endpoint in the configuration. */
  private addresses: readonly string[];
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
  ) {
    this.config = config;
    this.secrets = secrets;
    this.counters = counters;
    this.ledger = ledger;
    this.clock = clock;
    this.pickState = new PickState(ledger.endpoints, random);
    this.picker = compilePicker(config);
    this.addresses = config.endpoints.map(addressOf);
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
      JSON.stringify(config.tls) === JSON.stringify(this.config.tls);
    this.secrets = secrets;
    if (!sameTls) {
      this.dialer = new Dialer(config.tls, alpnOf(config), secrets, this.clock);
      this.tcpDialer = null;
    }
    this.config = config;
    this.picker = compilePicker(config);
    this.addresses = config.endpoints.map(addressOf);
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
   * Picks and admits an endpoint, other than those in `tried` if possible; null: none may be used. `hashKey`: what a hashing
   * policy looks at; null: the request has none, and goes anywhere.
   */
  pick(tried: readonly number[], hashKey: string | null): PickedEndpoint | null {
    const { pickState } = this;
    if (this.config.loadBalancer.consistentHash !== null) pickState.hashBy(hashKey);
    const index = this.picker.pick(pickState, this.clock.nowMs(), tried);
    if (pickState.panic) this.counters.add(COUNTER.lbHealthyPanic, 1);
    if (index < 0) return null;
    const endpoint = this.config.endpoints[index] as EndpointConfig;
    this.ledger.endpoints.acquire(endpoint.slot, Number.POSITIVE_INFINITY);
    return { endpoint, address: this.addresses[index] as string, index, ticket: pickState.ticket };
  }

  /** May a request that waits for a connection go to this endpoint instead of the one it chose? */
  mayMove(slot: number, tried: readonly number[]): boolean {
    const index = this.config.endpoints.findIndex((endpoint) => endpoint.slot === slot);
    const { endpoints } = this.ledger;
    return (
      index >= 0 &&
      this.config.loadBalancer.consistentHash === null &&
      !tried.includes(index) &&
      endpoints.availability(slot, this.clock.nowMs()) === AVAILABLE.yes
    );
  }

  /** Gives `from` back and takes the endpoint at `slot`, which `mayMove` allowed. */
  move(from: PickedEndpoint, slot: number): PickedEndpoint {
    const { endpoints } = this.ledger;
    const index = this.config.endpoints.findIndex((endpoint) => endpoint.slot === slot);
    this.report(from, 'abandoned');
    endpoints.release(from.endpoint.slot);
    endpoints.acquire(slot, Number.POSITIVE_INFINITY);
    return {
      endpoint: this.config.endpoints[index] as EndpointConfig,
      address: this.addresses[index] as string,
      index,
      ticket: endpoints.admitInPanic(slot),
    };
  }

  /** Gives a connection to `waiter`, now or later; the failure where it may not even wait. */
  checkout(waiter: Waiter): Failure | null {
    return this.pool.checkout(waiter);
  }

  abandonCheckout(waiter: Waiter): void {
    this.pool.abandon(waiter);
  }

  /** Tells the outlier detector how an attempt went: exactly once for each `pick`. */
  report(picked: PickedEndpoint, outcome: AttemptOutcome): void {
    const { endpoints } = this.ledger;
    const { slot } = picked.endpoint;
    if (outcome === 'abandoned') endpoints.abandon(slot, picked.ticket);
    else if (outcome === 'success') endpoints.reportSuccess(slot, picked.ticket, this.clock.nowMs());
    else if (this.outlier === null) endpoints.abandon(slot, picked.ticket);
    else {
      const hosts = this.config.endpoints.length;
      endpoints.reportFailure(slot, picked.ticket, FAILED[outcome], this.clock.nowMs(), hosts, this.outlier);
    }
  }

  /** The endpoint's active request is over. */
  releaseEndpoint(picked: PickedEndpoint): void {
    this.ledger.endpoints.release(picked.endpoint.slot);
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
