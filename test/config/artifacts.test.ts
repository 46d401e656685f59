import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { REFERENCE_FILE, referenceText, SCHEMA_FILE, schemaText } from '../../src/config/load/generate.ts';
import { configJsonSchema } from '../../src/config/load/index.ts';

interface Node {
  readonly description?: string;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: unknown;
}

const CURE = 'run: npm run schema';

test('config/outboard.schema.json is what the definitions make', () => {
  assert.ok(readFileSync(SCHEMA_FILE, 'utf8') === schemaText(), CURE);
});

test('the tables of docs/CONFIGURATION.md are what the definitions make', () => {
  assert.ok(readFileSync(REFERENCE_FILE, 'utf8') === referenceText(), CURE);
});

test('every field is described, and no mapping takes unknown keys', () => {
  const visit = (node: Node, path: string): void => {
    for (const [name, field] of Object.entries(node.properties ?? {})) {
      assert.ok(field.description, `${path}.${name} has no description`);
      visit(field, `${path}.${name}`);
    }
    if (node.properties !== undefined) assert.equal(node.additionalProperties, false, path);
    if (node.items !== undefined) visit(node.items, `${path}[]`);
    for (const alternative of node.anyOf ?? []) visit(alternative, path);
  };
  visit(configJsonSchema() as Node, '');
});

test('every mapping of the schema has its table', () => {
  const document = readFileSync(REFERENCE_FILE, 'utf8');
  const sections = new Set([...document.matchAll(/<!-- fields: (\S+) -->/g)].map((found) => found[1]));
  // Those that look like another one, and share its table.
  const shared =
    /responseHeaderModifier|requestHeaderModifier\.|requestRedirect\.path|backendRefs\[\]\.filters|Routes\[\]\.parentRefs|tcpRoutes\[\]\.backendRefs|(listeners|services)\[\]\.rateLimits|(remoteAddress|Cluster)$|overloadManager\.actions\.(?!stopAcceptingRequests)/;
  const visit = (node: Node, path: string): void => {
    if (node.properties !== undefined && !shared.test(path)) {
      assert.ok(sections.has(path === '' ? '.' : path), `no table for ${path}`);
    }
    for (const [name, field] of Object.entries(node.properties ?? {}))
      visit(field, path === '' ? name : `${path}.${name}`);
    if (node.items !== undefined) visit(node.items, `${path}[]`);
    for (const alternative of node.anyOf ?? []) visit(alternative, path);
  };
  visit(configJsonSchema() as Node, '');
});
