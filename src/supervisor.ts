/**
 * The supervisor: the main thread. It turns configuration into snapshots, publishes them and the secrets to the
 * workers, watches over the workers, checks health, exports what they record and answers the admin API. No
 * request ever waits for it; it may be slow, and it decides alone.
 */
import { type AdminServer, type Readiness, startAdmin } from './admin/index.ts';
import { type Clock, LIMITS, systemClock } from './base/index.ts';
import type { FromWorker, WorkerStart } from './channel/index.ts';
import type { ConfigDraft, ServiceConfig, Snapshot } from './config/index.ts';
import { HealthChecker, type HealthEvent, OutlierWatch } from './controlplane/health/index.ts';
import { createLedger, type Ledger } from './ledger/index.ts';
import { Addresses } from './supervisor/addresses.ts';
import { createAdminApi } from './supervisor/admin-api.ts';
import { ConfigIntake, type ReloadResult } from './supervisor/intake.ts';
import type { Logger } from './supervisor/logger.ts';
import { MemoryKeeper } from './supervisor/memory.ts';
import { addSupervisorMetrics } from './supervisor/metrics.ts';
import { OverloadKeeper } from './supervisor/overload.ts';
import type { Overrides } from './supervisor/overrides.ts';
import { Publisher } from './supervisor/publisher.ts';
import { SecretKeeper } from './supervisor/secrets.ts';
import { SlotKeeper } from './supervisor/slots.ts';
import { StartError } from './supervisor/start-error.ts';
import { TelemetryHub } from './supervisor/telemetry.ts';
import { DEFAULT_TUNING, type Tuning } from './supervisor/tuning.ts';
import { hasTraffic, serviceReadings } from './supervisor/views.ts';
import { SPARE_COLUMNS, WorkerPool } from './supervisor/worker-pool.ts';
import type { WorkerThread } from './supervisor/worker-thread.ts';

export type { ReloadResult } from './supervisor/intake.ts';
export type { LogFields, Logger } from './supervisor/logger.ts';
export type { Overrides } from './supervisor/overrides.ts';
export { StartError } from './supervisor/start-error.ts';
export type { Tuning } from './supervisor/tuning.ts';

export interface SupervisorOptions {
  readonly configFile: string;
  /** Where relative paths in the file start. Default: the file's directory. */
  readonly directory?: string;
  readonly overrides?: Overrides;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** What a worker thread runs. Default: `worker` beside this module. */
  readonly workerUrl?: URL;
  readonly tuning?: Partial<Tuning>;
  /** Called when only a new process helps. Default: ends this one with code 70 (EX_SOFTWARE). */
  readonly onFatal?: (message: string) => void;
}

export interface Supervisor {
  /** Resolves when every worker listens on everything; rejects with a StartError. */
  readonly ready: Promise<void>;
  /** Where a listener listens, with the real port in place of 0. Undefined: there is none of that name. */
  address(listener: string): { readonly host: string; readonly port: number } | undefined;
  readonly adminAddress: { readonly host: string; readonly port: number };
  /** Reads the configuration file again, changed or not. */
  reload(): Promise<ReloadResult>;
  /** A successor first, then the old thread drains. Resolves when the successor serves. */
  restartWorker(index: number): Promise<void>;
  /** Ends a worker at once, as a crash would; its place is taken by another. */
  killWorker(index: number): void;
  /** Opens access logs anew, after they were moved away. */
  reopenLogs(): void;
  /** Not ready; requests in flight end; everything stops. Resolves with the exit code. */
  drainAndStop(): Promise<number>;
}

/** Rejects with a StartError when the configuration is at fault or the admin address is taken. */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { configFile: file, directory, overrides = {}, logger } = options;
  const clock = options.clock ?? systemClock;
  const { refusedRetryMs: retryMs } = { ...DEFAULT_TUNING, ...options.tuning };
  const intake = new ConfigIntake({
    file,
    overrides,
    retryMs,
    clock,
    logger,
    ...(directory === undefined ? {} : { directory }),
  });
  let running: RunningSupervisor | null = null;
  try {
    running = new RunningSupervisor(options, clock, intake, await intake.first());
    await running.start();
    return running;
  } catch (error) {
    intake.stop();
    await running?.abandon();
    throw error instanceof StartError ? error : new StartError([(error as Error).message]);
  }
}

class RunningSupervisor implements Supervisor {
  readonly ready: Promise<void>;
  private readonly started = Promise.withResolvers<void>();
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly intake: ConfigIntake;
  private readonly first: ConfigDraft;
  private readonly ledger: Ledger;
  private readonly pool: WorkerPool;
  private readonly publisher: Publisher;
  private readonly secrets: SecretKeeper;
  private readonly health: HealthChecker;
  private readonly outliers: OutlierWatch;
  /** What `outliers` was last told. */
  private watched: readonly ServiceConfig[] | null = null;
  private readonly telemetry: TelemetryHub;
  private readonly memory = new MemoryKeeper();
  private readonly overload: OverloadKeeper;
  private admin: AdminServer | null = null;
  private draining: Promise<void> | null = null;
  private stopped: Promise<number> | null = null;

  constructor(options: SupervisorOptions, clock: Clock, intake: ConfigIntake, first: ConfigDraft) {
    this.clock = clock;
    this.logger = options.logger;
    this.intake = intake;
    this.first = first;
    this.ready = this.started.promise;
    this.ready.catch(() => {});
    const { workers } = first.node;
    this.ledger = createLedger({
      workers: workers + SPARE_COLUMNS,
      maxServices: LIMITS.services,
      maxEndpoints: LIMITS.endpoints,
      maxLimits: LIMITS.rateLimits,
      maxLimitTables: LIMITS.rateLimitTables,
    });
    this.pool = this.createPool(workers, options);
    const onEvent = (event: HealthEvent): void => this.onHealthEvent(event);
    this.secrets = new SecretKeeper({
      clock,
      logger: this.logger,
      onChange: (secrets) => this.pool.post({ type: 'secrets', secrets }),
    });
    this.health = new HealthChecker({
      clock,
      secrets: () => this.secrets.current,
      ledger: this.ledger.endpoints,
      hasTraffic: (slot) => hasTraffic(this.ledger, slot),
      onEvent,
    });
    this.outliers = new OutlierWatch({ clock, ledger: this.ledger.endpoints, onEvent });
    this.publisher = new Publisher({
      clock,
      logger: this.logger,
      pool: this.pool,
      slots: new SlotKeeper(this.ledger),
      secrets: this.secrets,
      addresses: new Addresses(),
      health: this.health,
      onInForce: (snapshot) => this.onInForce(snapshot),
    });
    this.overload = new OverloadKeeper({
      clock,
      logger: this.logger,
      ledger: this.ledger.overload,
      workers: () =>
        this.pool.slots.flatMap(({ index, current }) =>
          current === null ? [] : [{ index, column: current.column }],
        ),
      onShrink: () => this.memory.short(clock.nowMs()),
    });
    const views = { ledger: this.ledger, health: this.health, outliers: this.outliers, clock };
    this.telemetry = new TelemetryHub({
      clock,
      logger: this.logger,
      services: () => serviceReadings(this.publisher.inForce, views),
    });
    addSupervisorMetrics(this.telemetry.prometheus, {
      ...this.parts(),
      secrets: this.secrets,
      ledger: this.ledger,
      clock,
      isReady: () => this.readiness().ready,
    });
    this.overload.addMetrics(this.telemetry.prometheus);
  }

  /** Resolves when the admin server answers; `ready` follows when the workers listen. */
  async start(): Promise<void> {
    const { ledger, health, outliers, clock } = this;
    const views = { ledger, health, outliers, clock };
    const api = createAdminApi({
      ...this.parts(),
      clock: this.clock,
      logger: this.logger,
      telemetry: this.telemetry,
      views,
      overload: this.overload,
      readiness: () => this.readiness(),
      restartWorker: (index) => this.restartWorker(index),
      drain: () => void this.drain(),
      heartbeatAgeMs: (column) => this.ledger.heartbeatAgeMs(column, this.clock.nowMs()),
    });
    const { host, port } = this.first.node.admin;
    const onError = (message: string, err: unknown): void => this.logger.error({ err }, `admin: ${message}`);
    this.admin = await startAdmin({ host, port, api, onError });
    await this.secrets.start();
    this.outliers.start();
    this.intake
      .begin((draft) => this.publisher.publish(draft))
      .then(
        async (refusal) => {
          if (refusal.length === 0) return this.started.resolve();
          await this.abandon();
          this.started.reject(new StartError(refusal));
        },
        (error: unknown) => this.started.reject(error),
      );
  }

  get adminAddress(): { readonly host: string; readonly port: number } {
    return this.admin?.address ?? this.first.node.admin;
  }

  address(name: string): { readonly host: string; readonly port: number } | undefined {
    const listener = this.publisher.inForce?.listeners.find((each) => each.name === name);
    return listener && { host: listener.host, port: listener.port };
  }

  reload(): Promise<ReloadResult> {
    return this.intake.reload(() => this.publisher.inForce?.version ?? 0);
  }

  restartWorker(index: number): Promise<void> {
    return this.pool.restart(index, this.drainTimeoutMs);
  }

  killWorker(index: number): void {
    this.pool.kill(index);
  }

  reopenLogs(): void {
    this.pool.post({ type: 'reopen-logs' });
    this.logger.info({}, 'logs opened anew');
  }

  drainAndStop(): Promise<number> {
    this.stopped ??= this.drain()
      .then(() => this.abandon())
      .then(() => 0);
    return this.stopped;
  }

  /** Stops everything without waiting for requests. */
  async abandon(): Promise<void> {
    this.intake.stop();
    await this.publisher.idle();
    this.health.stop();
    this.outliers.stop();
    this.memory.stop();
    this.overload.stop();
    this.secrets.stop();
    await this.pool.stop();
    await this.telemetry.close();
    await this.admin?.close();
  }

  private get drainTimeoutMs(): number {
    return (this.publisher.inForce?.node ?? this.first.node).drainTimeoutMs;
  }

  private drain(): Promise<void> {
    this.draining ??= this.drainWorkers();
    return this.draining;
  }

  private async drainWorkers(): Promise<void> {
    const timeoutMs = this.drainTimeoutMs;
    this.logger.info({ timeoutMs }, 'draining');
    this.intake.stop();
    const aborted = await this.pool.drain(timeoutMs);
    if (aborted > 0) this.logger.warn({ aborted, timeoutMs }, 'requests cut off: they did not end in time');
    await this.pool.stop();
    this.logger.info({}, 'drained');
  }

  private readiness(): Readiness {
    const version = this.publisher.inForce?.version ?? 0;
    if (this.draining !== null) return { ready: false, state: 'draining', reasons: ['the process drains'] };
    if (version === 0)
      return { ready: false, state: 'starting', reasons: ['no configuration is in force yet'] };
    const reasons = this.pool.slots
      .filter((slot) => !slot.serves(version))
      .flatMap(({ index, current }) => {
        if (current === null) return [`worker ${index} is not running`];
        if (current.faults.length > 0)
          return current.faults.map(({ message }) => `worker ${index}: ${message}`);
        return [`worker ${index} does not listen yet`];
      });
    if (reasons.length > 0) return { ready: false, state: 'degraded', reasons };
    const overload = this.overload.reasons();
    return { ready: true, state: overload.length === 0 ? 'ready' : 'overloaded', reasons: overload };
  }

  private parts(): { intake: ConfigIntake; publisher: Publisher; pool: WorkerPool } {
    return { intake: this.intake, publisher: this.publisher, pool: this.pool };
  }

  private createPool(count: number, options: SupervisorOptions): WorkerPool {
    const { clock, ledger, logger } = this;
    return new WorkerPool({
      count,
      url: options.workerUrl ?? workerUrl(),
      tuning: { ...DEFAULT_TUNING, ...options.tuning },
      clock,
      logger,
      startOf: (id, column) => this.workerStart(id, column),
      heartbeat: (column) => {
        const nowMs = clock.nowMs();
        return ((nowMs | 0) - ledger.heartbeatAgeMs(column, nowMs)) | 0;
      },
      onStarted: (thread) => this.publisher.started(thread),
      onEnded: (thread) => {
        ledger.giveBack(thread.column, clock.nowMs());
        this.telemetry.retire(thread.id);
      },
      onRound: () => {
        ledger.settle();
        ledger.sweepCallers(clock.nowMs());
      },
      onMessage: (thread, message) => this.onMessage(thread, message),
      onFatal:
        options.onFatal ??
        ((message) => {
          logger.error({}, message);
          process.exit(70);
        }),
    });
  }

  private workerStart(id: number, column: number): WorkerStart {
    this.ledger.workerStarting(column, this.clock.nowMs());
    return {
      outboardWorker: true,
      index: column,
      ledger: this.ledger.buffers,
      metrics: this.telemetry.attach(id, column),
      snapshot: this.publisher.firstDelta(),
      secrets: this.secrets.encoded(),
    };
  }

  private onMessage(thread: WorkerThread, message: FromWorker): void {
    if (message.type === 'records') {
      this.telemetry.take(thread.id, message.batch);
      thread.post({ type: 'records-taken', count: 1 });
    } else if (message.type === 'log') {
      this.logger[message.level]({ worker: thread.slot, ...message.fields }, message.message);
    }
  }

  private onInForce(snapshot: Snapshot): void {
    this.telemetry.configure(snapshot);
    this.health.inForce();
    this.overload.configure(snapshot.node.overload);
    if (snapshot.services !== this.watched) this.outliers.update(snapshot);
    this.watched = snapshot.services;
    this.memory.touched();
    const { workers, admin } = this.first.node;
    const { node } = snapshot;
    if (node.workers !== workers) {
      this.logger.warn(
        { running: workers, configured: node.workers },
        'a change of workers needs a restart of the process',
      );
    }
    if (node.admin.host !== admin.host || node.admin.port !== admin.port) {
      this.logger.warn(
        { configured: node.admin },
        'a change of admin.address needs a restart of the process',
      );
    }
  }

  private onHealthEvent(event: HealthEvent): void {
    const { type, ...fields } = event;
    this.logger[BAD_NEWS.has(type) ? 'warn' : 'info'](fields, `endpoint ${type}`);
  }
}

const BAD_NEWS: ReadonlySet<HealthEvent['type']> = new Set([
  'unhealthy',
  'failed a check',
  'degraded',
  'ejected',
  'detected',
]);

/** Beside this module, which is `.ts` in a clone and `.js` where it was built. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
}
