/**
 * One turn of the event loop: what runs between two callbacks of the loop, the promises and ticks it
 * leaves behind included. Two things belong to a turn rather than to a request. Time: a request asks for it
 * some fifteen times, mostly within the same few microseconds, and a reading costs 45 ns, so the first
 * reading of a turn holds to its end. And writing: what one read brought forth goes out in one write.
 *
 * Both end in one promise reaction (22 ns; `process.nextTick` costs 150), which the loop runs before it calls
 * anybody else.
 */
import { type Clock, systemClock } from './clock.ts';

export interface TurnTask {
  onTurnEnd(): void;
}

export interface PassTask {
  onPassEnd(): void;
}

const settled = Promise.resolve();
let tasks: TurnTask[] = [];
let spare: TurnTask[] = [];
let passTasks: PassTask[] = [];
let ending = false;
let nowMs = -1;
/** What `nowMs` is added to for calendar time; at first finer than a millisecond. */
let epochMs = performance.timeOrigin + performance.now() - systemClock.nowMs();
let epochDueMs = 0;

/** Calendar time is compared with the system's so often, in ms, and follows when it was set or has drifted by more. */
const EPOCH_CHECK_MS = 1_000;
const EPOCH_DRIFT_MS = 2;

/** Runs `task` once when this turn ends, after whatever it was that called. */
export function atTurnEnd(task: TurnTask): void {
  tasks.push(task);
  if (!ending) begin();
}

/**
 * Runs `task` once when this pass of the loop has read from every socket that was ready: many turns later where
 * one socket holds many TLS records, each of which is a turn of its own. Costs 0.3 µs, for the first of a pass.
 */
export function atPassEnd(task: PassTask): void {
  if (passTasks.push(task) === 1) setImmediate(endPass);
}

/** The system clock, standing still during a turn; for threads whose turns are short. */
export const turnClock: Clock = {
  nowMs(): number {
    if (nowMs < 0) {
      nowMs = systemClock.nowMs();
      if (!ending) begin();
    }
    return nowMs;
  },
  wallMs(): number {
    const now = turnClock.nowMs();
    if (now >= epochDueMs) {
      epochDueMs = now + EPOCH_CHECK_MS;
      const measured = systemClock.wallMs() - now;
      if (Math.abs(measured - epochMs) > EPOCH_DRIFT_MS) epochMs = measured;
    }
    return now + epochMs;
  },
};

function begin(): void {
  ending = true;
  void settled.then(end);
}

function end(): void {
  ending = false;
  nowMs = -1;
  const due = tasks;
  tasks = spare;
  for (let i = 0; i < due.length; i++) (due[i] as TurnTask).onTurnEnd();
  due.length = 0;
  spare = due;
}

function endPass(): void {
  const due = passTasks;
  passTasks = [];
  for (const task of due) task.onPassEnd();
}
