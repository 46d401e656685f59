/**
 * One member of a list, read from its own text: data, shape, and how much of the configuration's limits it
 * takes. Whatever is not plainly right makes it unreadable here; the whole file is then read as one, which
 * tells every fault in its place.
 */
import type { z } from 'zod';
import { LIMITS } from '../../base/index.ts';
import { readSource, type SourceText } from './source-text.ts';
import type { SplitText } from './split.ts';
import { countKeys } from './split-json.ts';

export interface MemberSource {
  readonly data: unknown;
  /** For the places of warnings, which few members have. */
  source(): SourceText;
  /** From `source` to the member. */
  readonly prefix: readonly number[];
}

/** Thrown by whoever reads a configuration by its members, when it has to be read as a whole. */
export class NotByMembers extends Error {}

type PlaceAt = (offset: number) => { readonly line: number; readonly column: number };

export function readMember(format: SplitText['format'], text: string, placeAt: PlaceAt): MemberSource {
  if (format === 'json') {
    const data = parseJson(text);
    return { data, source: () => readSource(text, placeAt), prefix: [] };
  }
  const source = readSource(text, placeAt);
  // A list of one.
  if (source.complaints.length > 0 || !Array.isArray(source.data) || source.data.length !== 1)
    throw new NotByMembers();
  return { data: source.data[0], source: () => source, prefix: [0] };
}

export function shapeMember<T>(schema: z.ZodType<T>, data: unknown): T {
  const result = schema.safeParse(data);
  if (!result.success) throw new NotByMembers();
  return result.data;
}

export interface Size {
  /** Mappings, lists and scalars. */
  nodes: number;
  keys: number;
}

/** `depth`: of the value in its document, from 1. */
export function measure(value: unknown, depth: number, size: Size = { nodes: 0, keys: 0 }): Size {
  size.nodes++;
  if (depth > LIMITS.configDepth) throw new NotByMembers();
  if (Array.isArray(value)) for (const item of value) measure(item, depth + 1, size);
  else if (typeof value === 'object' && value !== null) {
    for (const key of Object.keys(value)) {
      size.keys++;
      measure((value as Record<string, unknown>)[key], depth + 1, size);
    }
  }
  return size;
}

/** JSON.parse takes the last of two equal keys, where YAML has a fault. */
function parseJson(text: string): unknown {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new NotByMembers();
  }
  if (measure(data, 1).keys !== countKeys(text)) throw new NotByMembers();
  return data;
}
