/**
 * Leaves that measure something or are sent as they stand: durations, percentages, URLs, paths, status
 * codes. A wrong value gets the right one in its cure wherever that can be told.
 */
import { parseDuration } from '../../base/index.ts';
import { type Leaf, leaf, Refusal, text } from './scalar.ts';

const DURATION_PATTERN = '^([0-9]{1,5}(h|m|s|ms)){1,4}$';

/** A duration (GEP-2257) in milliseconds; `0s` only where `min` is 0 (it then switches something off). */
export function duration(spec: { readonly min: number; readonly max?: number }): Leaf<number> {
  const most = spec.max ?? 99_999 * 3_600_000;
  return leaf<number>({
    expected: `a duration such as 250ms, 10s or 1m30s${spec.min > 0 ? ', above 0' : ''}`,
    json: { type: 'string', pattern: DURATION_PATTERN, examples: ['250ms', '10s', '1m30s'] },
    read(value) {
      if (typeof value === 'number') return new Refusal(`add a unit: ${value}s or ${value}ms`);
      if (typeof value !== 'string') return new Refusal(null);
      const ms = parseDuration(value);
      if (ms === undefined) return new Refusal(durationCure(value));
      if (ms < spec.min)
        return new Refusal(ms === 0 ? "it can't be switched off" : `write ${spec.min}ms or more`);
      return ms > most ? new Refusal(`write ${most}ms or less`) : ms;
    },
  });
}

function durationCure(written: string): string | null {
  if (/^[0-9]+$/.test(written)) return `add a unit: ${written}s or ${written}ms`;
  const fraction = /^([0-9]+\.[0-9]+)(h|m|s|ms)$/.exec(written);
  if (fraction !== null) return `write whole numbers in a smaller unit; ${written} is ${inSmaller(fraction)}`;
  if (/^[0-9]+ +(h|m|s|ms)$/.test(written)) return `remove the space: ${written.replaceAll(' ', '')}`;
  if (/^[0-9]+ ?(sec|secs|second|seconds)$/.test(written)) return `write ${Number.parseInt(written, 10)}s`;
  if (/^[0-9]+ ?(min|mins|minute|minutes)$/.test(written)) return `write ${Number.parseInt(written, 10)}m`;
  if (/^[0-9]+d$/.test(written)) return `there is no unit for days: ${Number.parseInt(written, 10) * 24}h`;
  if (/^(off|none|never|infinity|-1)$/i.test(written))
    return 'write 0s to switch it off, where that is possible';
  return 'units are h, m, s and ms, whole numbers, no sign';
}

function inSmaller([, count, unit]: RegExpExecArray): string {
  if (unit === 'ms') return 'below the clock: 1ms is the smallest';
  const factor = { h: 3_600_000, m: 60_000, s: 1_000 }[unit as 'h' | 'm' | 's'];
  return `${Math.round(Number(count) * factor)}ms`;
}

/** `12.5%`, or the number 12.5: 0 to 100. */
export function percent(): Leaf<number, string | number> {
  return leaf<number, string | number>({
    expected: 'a percentage from 0 to 100, such as 1% or 20',
    json: {
      anyOf: [
        { type: 'number', minimum: 0, maximum: 100 },
        { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?%$' },
      ],
    },
    read(value) {
      const plain = typeof value === 'string' ? /^([0-9]+(?:\.[0-9]+)?)%$/.exec(value)?.[1] : value;
      const number = typeof plain === 'string' ? Number(plain) : plain;
      if (typeof number === 'number' && number >= 0 && number <= 100) return number;
      return new Refusal(typeof value === 'string' && /^[0-9.]+$/.test(value) ? `write ${value}%` : null);
    },
  });
}

/** `http://host:port` of a telemetry collector, without the path that the protocol adds. */
export function collectorUrl(): Leaf<string> {
  return text({
    expected: 'the URL of an OTLP/HTTP collector such as http://127.0.0.1:4318',
    json: { format: 'uri', examples: ['http://127.0.0.1:4318'] },
    read(written) {
      if (!/^https?:\/\//i.test(written))
        return new Refusal(
          `write http://${written.replace(/^[a-z]*:\/\//i, '').replace(/:4317\b/, ':4318')}`,
        );
      if (!URL.canParse(written)) return new Refusal(null);
      const url = new URL(written);
      if (url.username !== '' || url.password !== '') return new Refusal('leave user and password out');
      if (url.port === '4317') return new Refusal('4317 is OTLP over gRPC; use the HTTP port, 4318');
      if (url.search !== '' || url.hash !== '') return new Refusal('leave query and fragment out');
      const path = url.pathname.replace(/\/(v1\/traces)?\/?$/, '');
      return url.origin + path;
    },
  });
}

/** The path of a request to be sent, with an optional query. */
export function requestPath(): Leaf<string> {
  return text({
    expected: 'a path such as /healthz',
    json: { pattern: '^/' },
    read(path) {
      if (!path.startsWith('/')) return new Refusal(`write /${path}`);
      if (path.includes('#')) return new Refusal('a fragment is never sent; remove it');
      return /[^\x21-\x7e]/.test(path) ? new Refusal('percent-encode spaces and what is not ASCII') : path;
    },
  });
}

/** `200`, or `200-299`: a range with both ends. */
export function statusRange(): Leaf<readonly [number, number], string | number> {
  return leaf<readonly [number, number], string | number>({
    expected: 'a status code such as 200, or a range such as 200-299',
    json: {
      anyOf: [
        { type: 'integer', minimum: 100, maximum: 599 },
        { type: 'string', pattern: '^[1-5][0-9]{2}(-[1-5][0-9]{2})?$' },
      ],
    },
    read(value) {
      const parts = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(String(value));
      if (parts === null || typeof value === 'object')
        return new Refusal(
          /^[1-5]xx$/i.test(String(value)) ? `write ${String(value)[0]}00-${String(value)[0]}99` : null,
        );
      const low = Number(parts[1]);
      const high = Number(parts[2] ?? parts[1]);
      return low <= high ? [low, high] : new Refusal(`write ${high}-${low}`);
    },
  });
}
