/**
 * `grpc-timeout`: how long the caller of a gRPC call will wait, one to eight digits and a unit
 * (grpc/doc/PROTOCOL-HTTP2.md, "Requests").
 */

/** Milliseconds of each unit, the finest that is written first. */
const UNITS = [
  ['m', 1],
  ['S', 1_000],
  ['M', 60_000],
  ['H', 3_600_000],
] as const;
const UNIT_MS: ReadonlyMap<string, number> = new Map([...UNITS, ['u', 0.001], ['n', 0.000_001]]);

const DIGITS_MAX = 8;
const VALUE_MAX = 10 ** DIGITS_MAX - 1;

/** Milliseconds, with a fraction; -1 when the text is no timeout. Zero is none: the value is a positive integer. */
export function parseGrpcTimeout(text: string): number {
  const digits = text.length - 1;
  if (digits < 1 || digits > DIGITS_MAX) return -1;
  let value = 0;
  for (let i = 0; i < digits; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  const unitMs = UNIT_MS.get(text[digits] as string);
  return unitMs === undefined || value === 0 ? -1 : value * unitMs;
}

/** The text for so many milliseconds, in the finest unit that eight digits allow; rounded down, but never to nothing. */
export function formatGrpcTimeout(ms: number): string {
  for (const [unit, unitMs] of UNITS) {
    const value = Math.floor(ms / unitMs);
    if (value <= VALUE_MAX) return `${Math.max(1, value)}${unit}`;
  }
  return `${VALUE_MAX}H`;
}

const ZERO = 0x30;
