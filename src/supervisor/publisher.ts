/**
 * Puts configurations in force, one at a time. A draft is refused, and what is in force stays, when a secret
 * it names can't be had, an address of it is taken, the ledger is full, or a worker can't listen. Workers
 * get what changed since the snapshot each was last sent; the next publication waits until all have
 * it in force, so that a freed ledger slot and a released address are really free.
 */
import { type Clock, LIMITS } from '../base/index.ts';
import {
  type Built,
  buildSnapshot,
  type ConfigDraft,
  diffSnapshots,
  removedSlots,
  type Snapshot,
  type SnapshotDelta,
} from '../config/index.ts';
import type { HealthChecker } from '../controlplane/health/index.ts';
import type { Addresses } from './addresses.ts';
import type { Logger } from './logger.ts';
import type { SecretKeeper } from './secrets.ts';
import type { SlotKeeper } from './slots.ts';
import type { WorkerPool } from './worker-pool.ts';
import type { WorkerThread } from './worker-thread.ts';

export interface PublisherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pool: WorkerPool;
  readonly slots: SlotKeeper;
  readonly secrets: SecretKeeper;
  readonly addresses: Addresses;
  readonly health: Pick<HealthChecker, 'update' | 'firstResults'>;
  /** A snapshot is in force on every worker. */
  onInForce(snapshot: Snapshot): void;
}

/** One line per reason; empty: the draft is in force. */
export type Refusal = readonly string[];

export class Publisher {
  private readonly options: PublisherOptions;
  /** In force on every worker, and the draft it was built from; null before the first. */
  private current: Built | null = null;
  /** What a worker that starts now gets. */
  private target: Snapshot | null = null;
  private readonly sent = new WeakMap<WorkerThread, Snapshot>();
  private version = 0;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(options: PublisherOptions) {
    this.options = options;
  }

  get inForce(): Snapshot | null {
    return this.current?.snapshot ?? null;
  }

  get targetVersion(): number {
    return this.target?.version ?? 0;
  }

  /** The whole target as a delta, for a thread that starts. */
  firstDelta(): SnapshotDelta {
    if (this.target === null) throw new Error('a worker starts before there is a configuration');
    return diffSnapshots(null, this.target);
  }

  /** To be called once for every thread that was started with `firstDelta`. */
  started(thread: WorkerThread): void {
    if (this.target !== null) this.sent.set(thread, this.target);
  }

  publish(draft: ConfigDraft): Promise<Refusal> {
    const result = this.queue.then(() => this.publishNext(draft));
    this.queue = result.catch(() => {});
    return result;
  }

  /** Resolves when no publication is under way. */
  async idle(): Promise<void> {
    await this.queue;
  }

  private async publishNext(draft: ConfigDraft): Promise<Refusal> {
    const { secrets, addresses } = this.options;
    const missing = await secrets.widen(draft.secrets);
    if (missing.length > 0) {
      await secrets.revert();
      return missing;
    }
    const claim = await addresses.claim(draft.listeners);
    let refusal: Refusal = claim.faults.map(({ message }) => message);
    if (refusal.length === 0) {
      refusal = await this.publishSnapshot({ ...draft, listeners: claim.listeners });
      if (refusal.length === 0) await claim.commit();
      else await claim.abandon();
    }
    if (refusal.length === 0) await secrets.narrow(draft.secrets);
    else await secrets.revert();
    return refusal;
  }

  private async publishSnapshot(draft: ConfigDraft): Promise<Refusal> {
    const { slots, health, clock, logger } = this.options;
    const startMs = clock.nowMs();
    const previous = this.current;
    let snapshot: Snapshot;
    try {
      snapshot = buildSnapshot(draft, this.version + 1, slots.begin(), previous);
    } catch (error) {
      slots.abandon(previous?.snapshot ?? null);
      return [(error as Error).message];
    }
    this.version++;
    health.update(snapshot);
    await health.firstResults(LIMITS.healthFirstCheckMs);
    const faults = await this.spread(snapshot);
    if (faults.length > 0) {
      await this.rollBack(snapshot, previous);
      return faults;
    }
    this.current = { draft, snapshot };
    slots.free(previous ? removedSlots(previous.snapshot, snapshot) : [], snapshot.version);
    this.options.onInForce(snapshot);
    const listeners = snapshot.listeners.map(({ name, host, port }) => `${name} ${host}:${port}`);
    const tookMs = Math.round(clock.nowMs() - startMs);
    logger.info({ version: snapshot.version, listeners, tookMs }, 'configuration in force');
    return [];
  }

  /** Sends the snapshot to every worker and waits until it is in force there. Returns what did not work. */
  private async spread(snapshot: Snapshot): Promise<Refusal> {
    const { pool } = this.options;
    this.target = snapshot;
    if (!pool.running) {
      try {
        await pool.start();
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    }
    const deltas = new Map<Snapshot, SnapshotDelta>();
    for (const thread of pool.threads()) {
      const older = this.sent.get(thread);
      if (thread.retiring || older === undefined) continue;
      let delta = deltas.get(older);
      if (delta === undefined) {
        delta = diffSnapshots(older, snapshot);
        deltas.set(older, delta);
      }
      this.sent.set(thread, snapshot);
      thread.post({ type: 'snapshot', delta, secrets: null });
    }
    await pool.applied(snapshot.version);
    const lines = new Set<string>();
    for (const thread of pool.threads()) {
      if (thread.version === snapshot.version) for (const { message } of thread.faults) lines.add(message);
    }
    return [...lines];
  }

  /** Back to what was in force, as a version of its own: versions only grow. */
  private async rollBack(refused: Snapshot, previous: Built | null): Promise<void> {
    const { slots, health, logger } = this.options;
    if (previous === null) return;
    this.version++;
    const restored = { ...previous.snapshot, version: this.version };
    const faults = await this.spread(restored);
    health.update(restored);
    slots.free(removedSlots(refused, restored), restored.version);
    this.current = { draft: previous.draft, snapshot: restored };
    this.options.onInForce(restored);
    for (const fault of faults) logger.error({ version: this.version }, `after going back: ${fault}`);
  }
}
