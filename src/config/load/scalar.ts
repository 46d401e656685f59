/**
 * The leaves of the schema. zod checks the shape (mappings, lists, unknown keys); a leaf says for itself
 * what it expects and how to put a wrong value right, because "Invalid input" helps nobody. Each
 * carries its JSON Schema, so that editors and documentation come from the same definition.
 */
import { z } from 'zod';

/** A leaf that reads `I` in the file and is `T` in the draft. */
export type Leaf<T, I = string> = z.ZodType<T, I>;

/** What a leaf answers to a value it can't take. */
export class Refusal {
  /** Null: there is nothing to add to what was expected. */
  readonly cure: string | null;
  /** In place of the leaf's own, where more can be said. */
  readonly expected: string | null;

  constructor(cure: string | null, expected: string | null = null) {
    this.cure = cure;
    this.expected = expected;
  }
}

export interface LeafSpec<T> {
  /** Follows "expected". */
  readonly expected: string;
  /** Keywords of JSON Schema. */
  readonly json: Readonly<Record<string, unknown>>;
  read(value: unknown): T | Refusal;
}

/** Marks the issues of leaves among zod's own. */
export interface LeafIssue {
  readonly expected: string;
  readonly cure: string | null;
}

export function leaf<T, I = string>(spec: LeafSpec<T>): Leaf<T, I> {
  const schema = z
    .any()
    .transform((value: unknown, context) => {
      const read = value === undefined ? new Refusal(null) : spec.read(value);
      if (!(read instanceof Refusal)) return read;
      const params: LeafIssue = { expected: read.expected ?? spec.expected, cure: read.cure };
      context.issues.push({ code: 'custom', input: value, message: params.expected, params: { ...params } });
      return z.NEVER;
    })
    .meta({ ...spec.json });
  return schema as unknown as Leaf<T, I>;
}

export interface TextSpec<T> {
  readonly expected: string;
  readonly json?: Readonly<Record<string, unknown>>;
  /** The value, or what is wrong with the text. */
  read(text: string): T | Refusal;
}

/** A leaf written as text. A number, a boolean or nothing is told to be quoted, or filled in. */
export function text<T>(spec: TextSpec<T>): Leaf<T> {
  return leaf<T>({
    expected: spec.expected,
    json: { type: 'string', ...spec.json },
    read: (value) => (typeof value === 'string' ? spec.read(value) : notText(value)),
  });
}

function notText(value: unknown): Refusal {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return new Refusal(`quote it: "${value}"; without quotes YAML reads a ${typeof value}`);
  if (value === null) return new Refusal('write a value, or remove the key');
  return new Refusal('write a single value here');
}

/** `true`, or what is the same as leaving it out. */
export function flag(): Leaf<boolean, boolean> {
  return leaf<boolean, boolean>({
    expected: 'true or false',
    json: { type: 'boolean' },
    read(value) {
      if (value === 'true' || value === 'false') return new Refusal(`remove the quotes: ${value}`);
      return typeof value === 'boolean' ? value : new Refusal(null);
    },
  });
}

/** The largest limit a ledger cell can hold. */
export const COUNT_MAX = 2 ** 31 - 1;

export interface IntegerSpec {
  readonly min: number;
  readonly max: number;
  /** `requests`, `bytes`, `milliseconds`. */
  readonly unit?: string;
  /** Said to a value above `max`. */
  readonly tooHigh?: string;
}

export function integer(spec: IntegerSpec): Leaf<number, number> {
  const unit = spec.unit === undefined ? '' : ` (${spec.unit})`;
  return leaf<number, number>({
    expected: `a whole number from ${spec.min} to ${spec.max}${unit}`,
    json: {
      type: 'integer',
      minimum: spec.min,
      maximum: spec.max,
      ...(spec.unit === undefined ? {} : { 'x-unit': spec.unit }),
    },
    read(value) {
      if (typeof value === 'string' && /^[0-9]+$/.test(value))
        return new Refusal(`remove the quotes: ${value}`);
      if (typeof value !== 'number' || !Number.isInteger(value)) return new Refusal(null);
      if (value > spec.max) return new Refusal(spec.tooHigh ?? `write ${spec.max} or less`);
      return value < spec.min ? new Refusal(`write ${spec.min} or more`) : value;
    },
  });
}
