/**
 * One worker: a whole data plane on its own thread, with its own listeners, pools and codecs. It shares
 * the ledger with its siblings and hears from the supervisor by messages; while a request waits it asks nobody
 * anything. The class runs wherever it is made; only a thread started by the supervisor starts one here.
 */
import { Session } from 'node:inspector/promises';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  type Clock,
  collectGarbage,
  descriptorsMax,
  LIMITS,
  systemClock,
  TimerWheel,
  turnClock,
} from './base/index.ts';
import type { FromWorker, ListenFault, ToWorker, WorkerStart } from './channel/index.ts';
import {
  applyDelta,
  decodeSecrets,
  type ListenerConfig,
  type Locality,
  type OverloadManagerConfig,
  type SecretSet,
  type Snapshot,
  type SnapshotDelta,
} from './config/index.ts';
import type { Surroundings } from './dataplane/balancer/index.ts';
import {
  Conductor,
  compileRulePolicy,
  type ExchangeContext,
  RateLimits,
  type RulePolicy,
} from './dataplane/exchange/index.ts';
import { Listener, ReadTurns } from './dataplane/listener/index.ts';
import { Callers } from './dataplane/policy/index.ts';
import { compileConnectionRoutes, compileRouter } from './dataplane/router/index.ts';
import { UpstreamService } from './dataplane/upstream/index.ts';
import { attachLedger, attachMetricCells, type WorkerLedger } from './ledger/index.ts';
import { AccessLog, Recorder } from './telemetry/index.ts';
import { WorkerOverload } from './worker/overload.ts';

export class DataPlane {
  private readonly send: (message: FromWorker) => void;
  private readonly clock: Clock;
  private readonly wheel: TimerWheel;
  private readonly ledger: WorkerLedger;
  private log: AccessLog | null;
  private logPath: string | null;
  private readonly recorder: Recorder;
  private readonly callers: Callers;
  private readonly turns: ReadTurns;
  private readonly context: ExchangeContext;
  private readonly conductor: Conductor;
  private readonly services = new Map<string, UpstreamService>();
  private readonly listeners = new Map<string, Listener>();
  /** Listeners that were removed or moved, until their last connection has ended. */
  private readonly leaving = new Set<Listener>();
  /** Services that were removed, until their last connection has ended. */
  private readonly leavingServices = new Set<UpstreamService>();
  private readonly heartbeat: NodeJS.Timeout;
  private readonly flusher: NodeJS.Timeout;
  /** What services have to know of each other and of the node. */
  private readonly around: { locality: Locality | null; service: Surroundings['service'] } = {
    locality: null,
    service: (name) => this.services.get(name)?.config,
  };
  private readonly descriptorsMax = descriptorsMax();
  private overload: WorkerOverload | null = null;
  private snapshot: Snapshot | null = null;
  private secrets: SecretSet;
  /** Messages are handled one after the other: a snapshot is in force before the next is looked at. */
  private queue: Promise<void> = Promise.resolve();

  constructor(start: WorkerStart, send: (message: FromWorker) => void, clock: Clock = turnClock) {
    this.send = send;
    this.clock = clock;
    this.secrets = decodeSecrets(start.secrets);
    this.wheel = new TimerWheel(clock);
    this.wheel.start();
    this.ledger = attachLedger(start.ledger, start.index);
    this.ledger.connections.start((slot) => this.onWanted(slot));
    const first = applyDelta(null, start.snapshot);
    const { accessLog, tracing } = first.node;
    this.logPath = accessLog.path;
    this.log = this.openLog(accessLog.path);
    this.recorder = new Recorder({
      clock,
      cells: attachMetricCells(start.metrics, start.index),
      sink: { post: (batch) => send({ type: 'records', batch }) },
      log: this.log,
      tracing,
    });
    this.flusher = setInterval(() => this.recorder.flush(), LIMITS.recordFlushMs);
    this.callers = new Callers(this.ledger.callers, first.node.callers);
    const precise = clock === turnClock ? systemClock : clock;
    this.turns = new ReadTurns(first.node.callers.turnMs, clock, precise, this.recorder.metrics.worker);
    this.context = {
      clock,
      wheel: this.wheel,
      random: Math.random,
      recorder: this.recorder,
      callers: this.callers,
      router: compileRouter<RulePolicy>(first, null, compileRulePolicy),
      connectionRoutes: compileConnectionRoutes(first, null),
      services: this.services,
      rateLimits: new RateLimits(this.ledger, this.recorder.metrics),
      overload: null,
      active: 0,
    };
    this.conductor = new Conductor(this.context);
    this.heartbeat = setInterval(() => this.ledger.beat(clock.nowMs()), LIMITS.heartbeatMs);
    this.ledger.beat(clock.nowMs());
    this.handle({ type: 'snapshot', delta: start.snapshot, secrets: null });
  }

  /** Takes a message of the supervisor's; what comes of it is reported by `send`. */
  handle(message: ToWorker): void {
    // Not in the queue: it must not wait behind a drain, or finished records would be dropped meanwhile.
    if (message.type === 'records-taken') this.recorder.taken(message.count);
    else this.queue = this.queue.then(() => this.handleNext(message));
  }

  /** Ends everything at once and returns how many requests were cut off. */
  async stop(): Promise<number> {
    let aborted = 0;
    const ends: Promise<void>[] = [];
    for (const listener of [...this.listeners.values(), ...this.leaving]) {
      ends.push(listener.drain(0));
      aborted += listener.destroy();
    }
    for (const service of [...this.services.values(), ...this.leavingServices]) ends.push(service.destroy());
    await Promise.all(ends);
    clearInterval(this.heartbeat);
    clearInterval(this.flusher);
    this.applyOverload(null);
    this.wheel.stop();
    this.recorder.flush();
    await this.log?.close(LIMITS.logCloseMs);
    return aborted;
  }

  /** Requests under way. */
  get activeRequests(): number {
    return this.context.active;
  }

  /** Timers armed: 0 once nothing is under way. */
  get armedTimers(): number {
    return this.wheel.size;
  }

  /** Hands finished records over now instead of with the next beat. */
  flush(): void {
    this.recorder.flush();
  }

  private async handleNext(message: Exclude<ToWorker, { type: 'records-taken' }>): Promise<void> {
    switch (message.type) {
      case 'snapshot':
        if (message.secrets !== null) this.takeSecrets(decodeSecrets(message.secrets));
        return this.apply(message.delta);
      case 'secrets':
        return this.takeSecrets(decodeSecrets(message.secrets));
      case 'drain':
        return this.drain(message.timeoutMs);
      case 'reopen-logs':
        this.log?.reopen();
        return;
      case 'cpu-profile':
        void this.profile(message.durationMs);
        return;
    }
  }

  /** Brings listeners, services and routes to a new snapshot; requests under way keep what they have. */
  private async apply(delta: SnapshotDelta): Promise<void> {
    const older = this.snapshot;
    const snapshot = applyDelta(older, delta);
    this.snapshot = snapshot;
    this.recorder.configure(snapshot.node.tracing);
    this.callers.configure(snapshot.node.callers);
    this.turns.turnMs = snapshot.node.callers.turnMs;
    this.applyLog(snapshot.node.accessLog.path);
    const moved = !sameLocality(this.around.locality, snapshot.node.locality);
    this.around.locality = snapshot.node.locality;
    this.applyOverload(snapshot.node.overload);
    if (moved || snapshot.services !== older?.services) this.applyServices(snapshot, moved);
    if (snapshot.limitSlots !== older?.limitSlots)
      this.context.rateLimits.update(snapshot.limitSlots, this.clock.nowMs());
    this.context.router = compileRouter(snapshot, this.context.router, compileRulePolicy);
    this.context.connectionRoutes = compileConnectionRoutes(snapshot, this.context.connectionRoutes);
    // What the start left behind, before anybody waits: 3 MiB at 100 services, 55 at 5,000.
    if (older === null && !isMainThread) collectGarbage();
    const faults = await this.applyListeners(snapshot);
    this.ledger.acknowledge(snapshot.version);
    this.send({ type: 'applied', version: snapshot.version, faults });
  }

  /** `moved`: the node is at another place, which matters to services that have not changed. */
  private applyServices(snapshot: Snapshot, moved: boolean): void {
    const gone = new Set(this.services.keys());
    for (const config of snapshot.services) {
      gone.delete(config.name);
      const known = this.services.get(config.name);
      if (known?.config.slot === config.slot) {
        if (moved || known.config !== config) known.update(config, this.secrets);
        continue;
      }
      if (known !== undefined) this.retireService(known);
      this.services.set(
        config.name,
        new UpstreamService(
          config,
          this.secrets,
          this.ledger,
          this.recorder.metrics.addService(config.name, config.slot).counters,
          this.wheel,
          this.clock,
          Math.random,
          this.around,
        ),
      );
    }
    for (const name of gone) {
      this.retireService(this.services.get(name) as UpstreamService);
      this.services.delete(name);
      this.recorder.metrics.removeService(name, this.clock.nowMs());
    }
  }

  private retireService(service: UpstreamService): void {
    for (const left of this.leavingServices) if (left.connections === 0) this.leavingServices.delete(left);
    service.close();
    this.leavingServices.add(service);
  }

  private async applyListeners(snapshot: Snapshot): Promise<ListenFault[]> {
    const faults: ListenFault[] = [];
    const wanted = new Map(snapshot.listeners.map((config) => [config.name, config]));
    for (const [name, listener] of this.listeners) {
      const config = wanted.get(name);
      if (config === undefined || !listener.canBecome(config))
        this.retire(name, listener, snapshot.node.drainTimeoutMs);
      else if (config !== listener.config) listener.update(config, this.secrets);
    }
    for (const config of snapshot.listeners) {
      if (!this.listeners.has(config.name)) await this.open(config, faults);
    }
    return faults;
  }

  private async open(config: ListenerConfig, faults: ListenFault[]): Promise<void> {
    const listener = new Listener(config, this.secrets, {
      conductor: this.conductor,
      wheel: this.wheel,
      clock: this.clock,
      callers: this.callers,
      turns: this.turns,
      counters: this.recorder.metrics.addListener(config.name, `${config.host}_${config.port}`),
      random: Math.random,
      descriptorsMax: this.descriptorsMax,
      onExhausted: (name) => this.onExhausted(name),
    });
    try {
      await listener.listen();
      this.listeners.set(config.name, listener);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      faults.push({ listener: config.name, code: code ?? 'ERROR', message });
    }
  }

  private retire(name: string, listener: Listener, drainTimeoutMs: number): void {
    this.listeners.delete(name);
    this.leaving.add(listener);
    this.recorder.metrics.removeListener(name, this.clock.nowMs());
    // At once: a later configuration may give the address to another listener.
    void listener.drain(0).then(() => this.leaving.delete(listener));
    listener.cutTunnelsAfter(drainTimeoutMs);
  }

  private takeSecrets(secrets: SecretSet): void {
    this.secrets = secrets;
    for (const listener of this.listeners.values()) listener.updateSecrets(secrets);
    for (const service of this.services.values()) service.updateSecrets(secrets);
  }

  /** Lets what is under way end, for so long; then cuts it off. */
  private async drain(timeoutMs: number): Promise<void> {
    const all = [...this.listeners.values(), ...this.leaving];
    const graceMs = Math.min(LIMITS.drainGraceMs, timeoutMs / 2);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([Promise.all(all.map((listener) => listener.drain(graceMs))), late]);
    clearTimeout(timer);
    const aborted = await this.stop();
    this.send({ type: 'drained', aborted });
  }

  private applyLog(path: string | null): void {
    if (path === this.logPath) return;
    const old = this.log;
    this.logPath = path;
    this.log = this.openLog(path);
    this.recorder.setLog(this.log);
    void old?.close(LIMITS.logCloseMs);
  }

  /** A log that can't be opened is reported and left out: traffic is worth more than its log. */
  private openLog(path: string | null): AccessLog | null {
    if (path === null) return null;
    const report = (message: string): void =>
      this.send({ type: 'log', level: 'error', message, fields: { path } });
    try {
      return new AccessLog({ path, onError: report });
    } catch (error) {
      report((error as Error).message);
      return null;
    }
  }

  private applyOverload(config: OverloadManagerConfig | null): void {
    if (JSON.stringify(this.overload?.config ?? null) === JSON.stringify(config)) return;
    this.overload?.stop();
    this.overload =
      config === null
        ? null
        : new WorkerOverload(config, this.ledger.overload, this.clock, () => this.listeners.values());
    this.context.overload = this.overload?.overload ?? null;
    for (const listener of this.listeners.values()) listener.meetOverload();
  }

  private onExhausted(listener: string): void {
    this.send({
      type: 'log',
      level: 'warn',
      message: 'descriptors are used up: new connections are closed at once; raise RLIMIT_NOFILE (ulimit -n)',
      fields: { listener, max: this.descriptorsMax },
    });
  }

  private onWanted(slot: number): void {
    for (const service of this.services.values()) if (service.config.slot === slot) service.onWanted();
  }

  private async profile(durationMs: number): Promise<void> {
    const session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    this.send({ type: 'cpu-profile', profile: JSON.stringify(profile) });
  }
}

function sameLocality(a: Locality | null, b: Locality | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isWorkerStart(data: unknown): data is WorkerStart {
  return typeof data === 'object' && data !== null && 'outboardWorker' in data;
}

if (!isMainThread && isWorkerStart(workerData)) {
  const port = parentPort as NonNullable<typeof parentPort>;
  const plane = new DataPlane(workerData, (message) => port.postMessage(message));
  port.on('message', (message: ToWorker) => plane.handle(message));
}
