/**
 * What a rule or a backend reference changes in a request before it is sent: header modifiers and
 * URLRewrite. `ReplacePrefixMatch` follows Gateway API's table: the prefix is matched by path elements, a
 * trailing `/` of prefix and replacement is ignored, and what would be empty is `/`.
 */
import type { FilterConfig, PathModifier } from '../../config/index.ts';
import type { RequestHead } from '../../message/index.ts';
import { applyHeaderEdit, compileHeaderEdit, type HeaderEdit } from './header-edit.ts';
import type { PreparedPath } from './normalize-path.ts';

export interface RequestEdit {
  readonly headers: HeaderEdit | null;
  /** New Host; null: as received. */
  readonly hostname: string | null;
  readonly path: PathEdit | null;
}

export interface PathEdit {
  readonly modifier: PathModifier;
  /** The matched prefix without a trailing `/`; null: the rule matched by something else. */
  readonly prefix: string | null;
}

/** Changes `head`: its headers, its authority, and its target where the path is rewritten. */
export function applyRequestEdit(edit: RequestEdit, head: RequestHead, path: PreparedPath): void {
  if (edit.headers) applyHeaderEdit(edit.headers, head.headers);
  if (edit.hostname !== null) head.authority = edit.hostname;
  if (edit.path) head.target = editPath(edit.path, path.path) + path.query;
}

/** The path after a modifier. `*` (RFC 9112 section 3.2.4) is left alone: it isn't a path. */
export function editPath(edit: PathEdit, path: string): string {
  if (path.charCodeAt(0) !== SLASH) return path;
  const { modifier, prefix } = edit;
  if (modifier.type === 'ReplaceFullPath') return modifier.value === '' ? '/' : modifier.value;
  if (prefix === null) return path;
  const edited = withoutSlash(modifier.value) + path.slice(prefix.length);
  return edited === '' ? '/' : edited;
}

export function withoutSlash(prefix: string): string {
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
}

/** What these filters do to a request; null when nothing. */
export function compileRequestEdit(
  filters: readonly FilterConfig[],
  prefix: string | null,
): RequestEdit | null {
  const headers = compileHeaderEdit(filters, 'RequestHeaderModifier');
  let hostname: string | null = null;
  let path: PathEdit | null = null;
  for (const filter of filters) {
    if (filter.type !== 'URLRewrite') continue;
    hostname = filter.hostname;
    path = filter.path && { modifier: filter.path, prefix };
  }
  return headers || hostname !== null || path ? { headers, hostname, path } : null;
}

const SLASH = 0x2f;
