/** What the supervisor writes its log to: pino in the command line, an array in the tests. */
import type { LogLevel } from '../channel/index.ts';

export interface Logger {
  level: LogLevel;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** An Error goes under `err`, with its stack. */
export type LogFields = Readonly<Record<string, unknown>>;
