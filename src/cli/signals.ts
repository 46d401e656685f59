/**
 * What signals mean. SIGTERM and SIGINT drain and end with 0; a second one ends at once, as people expect of a
 * second Ctrl-C. One press comes twice under npm, from the terminal and passed on by npm, so a repeat that
 * close is the same press. SIGHUP reads the configuration again. SIGUSR2 opens the logs anew (Envoy uses SIGUSR1,
 * which Node keeps for its inspector). Handlers are there before anything starts, because the default of
 * SIGHUP and SIGUSR2 is to end the process.
 */
import { constants } from 'node:os';
import type { Supervisor } from '../supervisor.ts';

const SAME_PRESS_MS = 500;

export interface Signals {
  /** The first SIGTERM or SIGINT. */
  readonly stop: Promise<NodeJS.Signals>;
  /** From now on SIGHUP and SIGUSR2 act on it. */
  attach(supervisor: Pick<Supervisor, 'reload' | 'reopenLogs'>): void;
  detach(): void;
}

export function catchSignals(): Signals {
  const stop = Promise.withResolvers<NodeJS.Signals>();
  let stopping = false;
  let asked: NodeJS.Signals | null = null;
  let askedMs = 0;
  let supervisor: Pick<Supervisor, 'reload' | 'reopenLogs'> | null = null;
  const onStop = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (asked === 'SIGINT' && signal === 'SIGINT' && now - askedMs < SAME_PRESS_MS) return;
    if (stopping) process.exit(128 + constants.signals[signal]);
    stopping = true;
    asked = signal;
    askedMs = now;
    stop.resolve(signal);
  };
  const onReload = (): void => {
    if (!stopping) void supervisor?.reload();
  };
  const onReopen = (): void => supervisor?.reopenLogs();
  process.on('SIGTERM', onStop).on('SIGINT', onStop).on('SIGHUP', onReload).on('SIGUSR2', onReopen);
  return {
    stop: stop.promise,
    attach(running) {
      supervisor = running;
    },
    detach() {
      process.off('SIGTERM', onStop).off('SIGINT', onStop).off('SIGHUP', onReload).off('SIGUSR2', onReopen);
    },
  };
}
