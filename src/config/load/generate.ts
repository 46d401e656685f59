/**
 * `npm run schema`: writes config/outboard.schema.json, and the tables of docs/CONFIGURATION.md, anew. A
 * test fails when either is behind the definitions.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { configJsonSchema } from './json-schema.ts';
import { fillReference } from './reference.ts';

const root = new URL('../../../', import.meta.url);
export const SCHEMA_FILE = new URL('config/outboard.schema.json', root);
export const REFERENCE_FILE = new URL('docs/CONFIGURATION.md', root);

export function schemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}

export function referenceText(): string {
  return fillReference(readFileSync(REFERENCE_FILE, 'utf8'));
}

if (import.meta.main) {
  writeFileSync(SCHEMA_FILE, schemaText());
  writeFileSync(REFERENCE_FILE, referenceText());
}
