/**
 * The JSON Schema of a configuration file, made from the definitions that check it, so that an editor
 * (`# yaml-language-server: $schema=…`) offers and explains exactly what is accepted.
 */
import { z } from 'zod';
import { configSchema } from './schema.ts';

/** JSON Schema draft-07, the newest that the editors' YAML language server reads in full. */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return {
    $schema,
    title: 'Outboard configuration',
    description:
      'Listeners, routes and services of the Outboard proxy. Durations are written 250ms, 10s, 1m30s.',
    ...schema,
  };
}
