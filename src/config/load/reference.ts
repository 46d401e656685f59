/**
 * The tables of docs/CONFIGURATION.md, made from the JSON Schema, so that no default is written twice.
 * The document holds a pair of comments for each section; what stands between them is replaced.
 */
import { configJsonSchema } from './json-schema.ts';

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly 'x-unit'?: string;
}

const SECTION = /<!-- fields: (\S*) -->\n[\s\S]*?<!-- end -->/g;

/** The document with every table made anew. Throws when it names a section that the schema has not. */
export function fillReference(document: string): string {
  const root = configJsonSchema() as Node;
  return document.replaceAll(SECTION, (_, path: string) => {
    const rows = Object.entries(sectionAt(root, path).properties ?? {}).flatMap(([name, node]) =>
      row(name, node, sectionAt(root, path).required?.includes(name) ?? false),
    );
    const table = ['| Field | Value | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
    return `<!-- fields: ${path} -->\n${table}\n<!-- end -->`;
  });
}

/** `.` is the file itself; `services[].tls` goes into lists and mappings. */
function sectionAt(root: Node, path: string): Node {
  let node = root;
  for (const part of path === '.' ? [] : path.split('.')) {
    const name = part.replace(/\[\]$/, '');
    const next = node.properties?.[name];
    const inner = part.endsWith('[]') ? next?.items : mappingOf(next);
    if (inner === undefined)
      throw new Error(`the schema has no section ${path}; correct the comment in the document`);
    node = inner;
  }
  return node;
}

function mappingOf(node: Node | undefined): Node | undefined {
  return node?.properties === undefined ? node?.anyOf?.find((other) => other.properties !== undefined) : node;
}

function row(name: string, node: Node, required: boolean): string {
  const cells = [
    `\`${name}\``,
    valueText(node),
    required ? 'required' : defaultText(node),
    node.description ?? '',
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function valueText(node: Node): string {
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(valueText))].join(' or ');
  if (node.type === 'array') return `list of ${valueText(node.items ?? {})}`;
  if (node.type === 'object') return 'mapping';
  if (node.type === 'integer') {
    const unit = node['x-unit'] === undefined ? '' : ` ${node['x-unit']}`;
    return `${node.minimum} to ${node.maximum}${unit}`;
  }
  if (node.type === 'number') return 'number';
  if (node.type === 'boolean') return '`true`, `false`';
  if (node.pattern?.includes('h|m|s|ms')) return 'duration';
  return node.pattern?.includes('%$') ? 'percentage' : 'text';
}

function defaultText(node: Node): string {
  if (node.default === undefined) return '–';
  const empty =
    typeof node.default === 'object' && node.default !== null && Object.keys(node.default).length === 0;
  if (empty) return node.type === 'array' ? 'none' : 'as below';
  return `\`${typeof node.default === 'string' ? node.default : JSON.stringify(node.default)}\``;
}
