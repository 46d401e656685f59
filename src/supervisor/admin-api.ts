/** The admin server's questions, answered from the parts of the supervisor. */
import { type AdminApi, AdminError, type Readiness, type WorkerView } from '../admin/index.ts';
import type { Clock } from '../base/index.ts';
import { renderConfig } from '../config/index.ts';
import { tracesAsText } from '../controlplane/export/index.ts';
import type { ConfigIntake } from './intake.ts';
import type { Logger } from './logger.ts';
import type { OverloadKeeper } from './overload.ts';
import { profileThisThread } from './profile.ts';
import type { Publisher } from './publisher.ts';
import type { TelemetryHub } from './telemetry.ts';
import { callerViews, clusterViews, rateLimitViews, type ViewSources } from './views.ts';
import type { WorkerPool } from './worker-pool.ts';
import type { WorkerSlot } from './worker-slot.ts';

export interface AdminParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intake: ConfigIntake;
  readonly publisher: Publisher;
  readonly pool: WorkerPool;
  readonly telemetry: TelemetryHub;
  readonly views: ViewSources;
  readonly overload: Pick<OverloadKeeper, 'view'>;
  readiness(): Readiness;
  restartWorker(index: number): Promise<void>;
  drain(): void;
  heartbeatAgeMs(column: number): number;
}

export function createAdminApi(parts: AdminParts): AdminApi {
  const { logger, pool, publisher, telemetry } = parts;
  let profilingSupervisor = false;
  return {
    readiness: () => parts.readiness(),
    metrics: () => telemetry.prometheus.metrics(),
    config: () => ({
      source: parts.intake.view(publisher.inForce?.version ?? 0),
      config: publisher.inForce === null ? null : renderConfig(publisher.inForce),
    }),
    clusters: () => clusterViews(publisher.inForce, parts.views),
    rateLimits: () => rateLimitViews(publisher.inForce, parts.views),
    callers: () => callerViews(publisher.inForce, parts.views),
    traces: (query) => {
      const traces = telemetry.traces.find(query);
      return { traces, text: () => tracesAsText(traces) };
    },
    decisions: (query) => telemetry.decisions.find(query),
    overload: () => parts.overload.view(),
    workers: () => pool.slots.map((slot) => workerView(slot, parts)),
    restartWorker: (index) =>
      parts.restartWorker(index).catch((error: Error) => {
        throw new AdminError(409, 'not-restarted', error.message, 'see the log, then try again');
      }),
    killWorker: (index) => pool.kill(index),
    drain: () => parts.drain(),
    logLevel: () => logger.level,
    setLogLevel: (level) => {
      logger.level = level;
    },
    cpuProfile: async (target, durationMs) => {
      if (target !== 'supervisor') return profileWorker(pool.slots[target] as WorkerSlot, durationMs);
      if (profilingSupervisor) throw busy('the supervisor');
      profilingSupervisor = true;
      try {
        return await profileThisThread(durationMs);
      } finally {
        profilingSupervisor = false;
      }
    },
  };
}

function profileWorker(slot: WorkerSlot, durationMs: number): Promise<string> {
  const thread = slot.current;
  if (thread === null) {
    throw new AdminError(
      503,
      'not-running',
      `worker ${slot.index} is not running`,
      'see /workers, then try again',
    );
  }
  if (thread.profiling) throw busy(`worker ${slot.index}`);
  return thread.cpuProfile(durationMs);
}

function busy(who: string): AdminError {
  return new AdminError(
    409,
    'profiling',
    `${who} is being profiled already`,
    'wait until that profile is done',
  );
}

function workerView(slot: WorkerSlot, { clock, heartbeatAgeMs }: AdminParts): WorkerView {
  const thread = slot.current ?? slot.threads[0] ?? null;
  return {
    index: slot.index,
    state: stateOf(slot),
    version: thread?.version ?? 0,
    startedAt: thread === null ? null : new Date(thread.startedWallMs).toISOString(),
    heartbeatAgeMs: thread === null ? null : heartbeatAgeMs(thread.column),
    uptimeMs: thread === null ? null : Math.round(clock.nowMs() - thread.startedMs),
    crashes: slot.crashes,
    lastExit: slot.lastExit,
    utilization: thread?.utilization() ?? null,
  };
}

function stateOf(slot: WorkerSlot): WorkerView['state'] {
  const { current, threads } = slot;
  if (current === null) return threads.length > 0 ? 'draining' : 'stopped';
  if (current.version === 0) return 'starting';
  if (threads.length > 1) return 'restarting';
  return current.faults.length === 0 ? 'ready' : 'degraded';
}
