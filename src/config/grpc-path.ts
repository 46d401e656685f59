/**
 * A gRPC method as the path it has on the wire, `/package.Service/Method`, and back: the router knows paths
 * only. A part that is not stated matches any name. A pattern has to match its whole part, so that an anchor at
 * either end says nothing, and is left out because it would never match inside of a path.
 */
import type { MatchConfig } from './route-config.ts';

/** Gateway API's GRPCMethodMatch. */
export interface GrpcMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly service?: string | undefined;
  readonly method?: string | undefined;
}

/** Exact names are identifiers, which hold nothing that a pattern could take for its own. */
export function grpcPath({ type, service, method }: GrpcMatch): MatchConfig['path'] {
  if (type === 'Exact' && service !== undefined)
    return method === undefined
      ? { type: 'PathPrefix', value: `/${service}` }
      : { type: 'Exact', value: `/${service}/${method}` };
  return { type: 'RegularExpression', value: `/${partOf(service)}/${partOf(method)}` };
}

/** What `grpcPath` makes the same path of; a method alone comes back as a pattern. */
export function grpcMatchOf({ type, value }: MatchConfig['path']): GrpcMatch {
  if (type !== 'RegularExpression') {
    const [, service, method] = value.split('/');
    return { type: 'Exact', service, ...(type === 'Exact' ? { method } : {}) };
  }
  const [, service, method] = PATTERN.exec(value) ?? [];
  return {
    type,
    ...(service === undefined ? {} : { service }),
    ...(method === undefined ? {} : { method }),
  };
}

function partOf(pattern: string | undefined): string {
  return pattern === undefined ? ANY_NAME : `(?:${withoutAnchors(pattern)})`;
}

function withoutAnchors(pattern: string): string {
  const start = pattern.startsWith('^') ? 1 : 0;
  const escapes = /\\*(?=\$$)/.exec(pattern)?.[0].length ?? 1;
  return pattern.slice(start, escapes % 2 === 0 ? -1 : undefined);
}

/** Patterns hold no `/`: whoever checks them refuses it. */
const PATTERN = /^\/(?:\[\^\/\]\+|\(\?:([^/]*)\))\/(?:\[\^\/\]\+|\(\?:([^/]*)\))$/;
const ANY_NAME = '[^/]+';
