/** Which keys would have been right where an unknown one stands, and which of them was most likely meant. */
import { z } from 'zod';
import type { Path } from './source-text.ts';
import { nearest } from './suggest.ts';
import { OTHER_WORDS } from './vocabulary.ts';

export function unknownKeyWords(
  root: z.ZodType,
  path: Path,
): { readonly expected: string; readonly cure: string | null } {
  const key = String(path.at(-1));
  const keys = keysAt(root, path.slice(0, -1));
  const expected = keys.length === 0 ? 'a known key' : `one of the keys ${keys.join(', ')}`;
  const guess = nearest(key, keys);
  if (guess !== null) return { expected, cure: `did you mean ${guess}?` };
  const plain = key.toLowerCase().replaceAll(/[-_]/g, '');
  const parent = path.findLast((part, i) => typeof part === 'string' && i < path.length - 1);
  const known = wordOf(`${parent}.${plain}`) ?? wordOf(plain);
  return { expected, cure: known ?? elsewhere(root, plain) ?? 'remove it' };
}

function wordOf(key: string): string | undefined {
  return Object.hasOwn(OTHER_WORDS, key) ? OTHER_WORDS[key] : undefined;
}

/** Keys that stand in so many places that naming one says nothing. */
const COMMON = new Set(['name', 'type', 'value', 'path', 'interval', 'timeouts']);

/** A key that is right in another place: named with that place. */
function elsewhere(root: z.ZodType, plain: string): string | null {
  if (COMMON.has(plain)) return null;
  const queue: { readonly schema: z.ZodType; readonly path: string }[] = [{ schema: root, path: '' }];
  for (const { schema, path } of queue) {
    for (const object of objectsOf(schema)) {
      for (const [name, field] of Object.entries(object.shape) as [string, z.ZodType][]) {
        const at = path === '' ? name : `${path}.${name}`;
        if (name.toLowerCase() === plain) return `it belongs in ${at}`;
        queue.push({ schema: field, path: at });
        for (const array of arraysOf(field))
          queue.push({ schema: array.element as z.ZodType, path: `${at}[]` });
      }
    }
  }
  return null;
}

function keysAt(root: z.ZodType, path: Path): string[] {
  let schemas: z.ZodType[] = [root];
  for (const part of path) {
    schemas = schemas.flatMap((schema) =>
      typeof part === 'number'
        ? arraysOf(schema).map((array) => array.element as z.ZodType)
        : objectsOf(schema).flatMap((object) =>
            Object.hasOwn(object.shape, part) ? [object.shape[part] as z.ZodType] : [],
          ),
    );
  }
  return schemas.flatMap((schema) => objectsOf(schema).flatMap((object) => Object.keys(object.shape)));
}

function objectsOf(schema: z.ZodType): z.ZodObject[] {
  return unwrap(schema).filter((inner) => inner instanceof z.ZodObject);
}

function arraysOf(schema: z.ZodType): z.ZodArray[] {
  return unwrap(schema).filter((inner) => inner instanceof z.ZodArray);
}

function unwrap(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault)
    return unwrap(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => unwrap(option as z.ZodType));
  return [schema];
}
