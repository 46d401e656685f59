/** Reads option values; what is wrong with one becomes a message that names what is expected. */
import { InvalidArgumentError } from 'commander';
import { LIMITS } from '../base/index.ts';
import type { LogLevel } from '../channel/index.ts';
import { LOG_LEVELS } from './logger.ts';

/** `host:port`, `[v6]:port` or `:port` (every address). */
export function readAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new InvalidArgumentError('Expected host:port, e.g. 127.0.0.1:15000.');
  return { host: match[1] || match[2] || '0.0.0.0', port };
}

export function readWorkers(text: string): number {
  const count = Number(text);
  if (/^[0-9]+$/.test(text) && count >= 1 && count <= LIMITS.workers) return count;
  throw new InvalidArgumentError(`Expected a number from 1 to ${LIMITS.workers}.`);
}

export function readUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new InvalidArgumentError('Expected a URL, e.g. http://127.0.0.1:4318.');
}

export function readLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((name) => name === text);
  if (level === undefined) throw new InvalidArgumentError(`Expected one of ${LOG_LEVELS.join(', ')}.`);
  return level;
}
