/**
 * The process's log, on standard error: JSON lines by pino, or lines for people on a terminal. Written
 * asynchronously, since whoever reads the pipe may be slow, and bounded: beyond 4 MiB unwritten, lines are
 * dropped. What is unwritten when the process ends is written then.
 */
import { destination, type Logger as Pino, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from '../channel/index.ts';
import type { Logger } from '../supervisor.ts';

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

const UNWRITTEN_BYTES_MAX = 4 * 1024 * 1024;

export function createLogger(level: LogLevel, human: boolean = process.stderr.isTTY === true): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return human ? wrap(pino(options, { write: writeForPeople })) : wrap(pino(options, openStderr()));
}

function openStderr(): ReturnType<typeof destination> {
  const stderr = destination({ dest: 2, sync: false, maxLength: UNWRITTEN_BYTES_MAX });
  // A reader that went away must not end the proxy.
  stderr.on('error', () => {});
  process.once('exit', () => {
    try {
      stderr.flushSync();
    } catch {
      // Nobody reads: there is nowhere left to say so.
    }
  });
  return stderr;
}

function wrap(log: Pino): Logger {
  return {
    get level() {
      return log.level as LogLevel;
    },
    set level(level: LogLevel) {
      log.level = level;
    },
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

function writeForPeople(line: string): void {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  let text = `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${msg}`;
  for (const [name, value] of Object.entries(fields)) {
    text += ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  }
  const stack = (err as { stack?: string } | undefined)?.stack;
  process.stderr.write(stack === undefined ? `${text}\n` : `${text}\n${stack}\n`);
}
