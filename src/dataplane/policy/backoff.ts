/**
 * How long to wait before a retry.
 *
 * Full jitter: uniform over a window that starts at the base and doubles up to the maximum. With the
 * defaults (25 ms, ten times that) the windows are 25, 50, 100, 200, 250, 250 … ms, as in Envoy's code;
 * its documentation says (2^N − 1) · 25 ms, and the code is what its users know.
 *
 * An answer that says when to come back (`Retry-After`, `X-RateLimit-Reset`) is believed up to a maximum,
 * and waits spread over the half above what it said, so that not everyone comes back at once.
 */
import type { RetryConfig } from '../../config/index.ts';
import { type HeaderList, nameIdOf } from '../../message/index.ts';

type BackoffConfig = Pick<RetryConfig, 'backoffBaseMs' | 'backoffMaxMs'>;
type ResetConfig = Pick<RetryConfig, 'resetHeaders' | 'resetMaxMs'>;

/** Milliseconds to wait before retry number `retry` (1 is the first). `random` is in [0, 1). */
export function backoffMs(config: BackoffConfig, retry: number, random: number): number {
  return random * Math.min(config.backoffBaseMs * 2 ** (retry - 1), config.backoffMaxMs);
}

/**
 * Milliseconds that the answer asks to wait, jittered over [x, 1.5x); -1 when it asks nothing that can be
 * used: no such header, not a time, a time that has passed, or above `resetMaxMs`. Headers are tried in the order
 * of the configuration and the first usable one counts. `SECONDS` is a number of seconds or, as RFC 9110
 * section 10.2.3 has it for `Retry-After`, a date; `UNIX_TIMESTAMP` a number of seconds since 1970.
 */
export function resetDelayMs(
  config: ResetConfig,
  headers: HeaderList,
  wallNowMs: number,
  random: number,
): number {
  for (const { name, format } of config.resetHeaders) {
    const text = headers.get(nameIdOf(name) || name);
    if (text === undefined) continue;
    const waitMs = waitOf(text.trim(), format, wallNowMs);
    if (waitMs >= 0 && waitMs <= config.resetMaxMs) return waitMs * (1 + random / 2);
  }
  return -1;
}

/** NaN when the text is no time. */
function waitOf(text: string, format: 'SECONDS' | 'UNIX_TIMESTAMP', wallNowMs: number): number {
  if (DIGITS.test(text))
    return format === 'SECONDS' ? Number(text) * 1_000 : Number(text) * 1_000 - wallNowMs;
  return format === 'SECONDS' ? parseHttpDate(text) - wallNowMs : Number.NaN;
}

const DIGITS = /^[0-9]{1,15}$/;
const IMF_FIXDATE = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;
const RFC850 = /^[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}$/;

/** The three forms that RFC 9110 section 5.6.7 tells a recipient to accept, as epoch milliseconds; NaN: none. */
function parseHttpDate(text: string): number {
  if (IMF_FIXDATE.test(text) || RFC850.test(text)) return Date.parse(text);
  return ASCTIME.test(text) ? Date.parse(`${text} GMT`) : Number.NaN;
}
