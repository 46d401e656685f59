/** Checks of meaning for filters: one field per type, and combinations that Gateway API rules out. */
import { grpcPath } from '../grpc-path.ts';
import type { CheckContext } from './context.ts';
import { checkCors } from './cors.ts';
import { FILTER_FIELDS, type FilterFields, type PathModifierFields } from './filter-schema.ts';
import type { RuleFields } from './route-schema.ts';
import type { Path } from './source-text.ts';

export function checkFilters(rule: RuleFields, path: Path, context: CheckContext): void {
  const prefixOnly = rule.matches.every(
    ({ grpc, path }) => (grpc === undefined ? path : grpcPath(grpc)).type === 'PathPrefix',
  );
  checkList(rule.filters, [...path, 'filters'], prefixOnly, context);
  rule.filters.forEach(({ cors }, i) => {
    if (cors !== undefined) checkCors(cors, methodsOf(rule), [...path, 'filters', i, 'cors'], context);
  });
  const types = new Set(rule.filters.map((filter) => filter.type));
  for (const pair of EXCLUSIVE)
    if (pair.every((type) => types.has(type)))
      context.fault({
        path: [...path, 'filters'],
        expected: `${pair.join(' or ')}`,
        found: 'both in one rule',
        cure: 'split the rule in two',
      });
  rule.backendRefs.forEach((backend, i) => {
    const at = [...path, 'backendRefs', i, 'filters'];
    checkList(backend.filters, at, prefixOnly, context);
    backend.filters.forEach((filter, j) => {
      if (filter.type !== 'RequestHeaderModifier' && filter.type !== 'ResponseHeaderModifier')
        context.fault({
          path: [...at, j, 'type'],
          expected: 'RequestHeaderModifier or ResponseHeaderModifier',
          cure: 'move it to the filters of the rule',
        });
    });
  });
}

/** Null: one of the matches takes every method. */
function methodsOf({ matches }: RuleFields): ReadonlySet<string> | null {
  const methods = matches.map(({ method, grpc }) => (grpc === undefined ? method : 'POST'));
  return methods.length === 0 || methods.includes(undefined)
    ? null
    : new Set(methods.filter((method) => method !== undefined));
}

const EXCLUSIVE = [
  ['URLRewrite', 'RequestRedirect'],
  ['URLRewrite', 'DirectResponse'],
  ['RequestRedirect', 'DirectResponse'],
  ['RequestRedirect', 'RequestMirror'],
  ['DirectResponse', 'RequestMirror'],
] as const;

function checkList(
  filters: readonly FilterFields[],
  path: Path,
  prefixOnly: boolean,
  context: CheckContext,
): void {
  const seen = new Set<string>();
  filters.forEach((filter, i) => {
    const at = [...path, i];
    if (seen.has(filter.type) && filter.type !== 'RequestMirror')
      context.fault({
        path: [...at, 'type'],
        expected: `one filter of type ${filter.type}`,
        found: 'a second one',
        cure: 'merge the two',
      });
    seen.add(filter.type);
    checkFields(filter, at, context);
    checkContent(filter, at, prefixOnly, context);
  });
}

function checkFields(filter: FilterFields, path: Path, context: CheckContext): void {
  const own = FILTER_FIELDS[filter.type];
  if (filter[own] === undefined)
    context.faultIfWhole({
      path,
      expected: `${own} beside type: ${filter.type}`,
      found: 'none',
      cure: `add ${own}: { … }`,
    });
  for (const field of Object.values(FILTER_FIELDS))
    if (field !== own && filter[field] !== undefined)
      context.fault({
        path: [...path, field],
        expected: `${own} only, beside type: ${filter.type}`,
        cure: 'write a filter of its own for each type',
      });
}

function checkContent(filter: FilterFields, path: Path, prefixOnly: boolean, context: CheckContext): void {
  if (filter.type === 'RequestHeaderModifier' || filter.type === 'ResponseHeaderModifier') {
    checkModifier(filter, [...path, FILTER_FIELDS[filter.type]], context);
  } else if (filter.type === 'URLRewrite' && filter.urlRewrite !== undefined) {
    const at = [...path, 'urlRewrite'];
    const { hostname, path: modifier } = filter.urlRewrite;
    if (hostname === undefined && modifier === undefined)
      context.faultIfWhole({
        path: at,
        expected: 'hostname or path',
        found: 'neither',
        cure: 'remove the filter, or say what it rewrites',
      });
    checkPathModifier(modifier, [...at, 'path'], prefixOnly, context);
  } else if (filter.type === 'RequestRedirect' && filter.requestRedirect !== undefined) {
    const at = [...path, 'requestRedirect'];
    const { scheme, hostname, port, path: modifier } = filter.requestRedirect;
    if (scheme === undefined && hostname === undefined && port === undefined && modifier === undefined)
      context.faultIfWhole({
        path: at,
        expected: 'scheme, hostname, port or path',
        found: 'none',
        cure: 'it would redirect to itself for ever',
      });
    checkPathModifier(modifier, [...at, 'path'], prefixOnly, context);
  } else if (filter.type === 'DirectResponse' && filter.directResponse !== undefined) {
    const { statusCode, body } = filter.directResponse;
    // RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
    if ((statusCode === 204 || statusCode === 205 || statusCode === 304) && body !== '')
      context.fault({
        path: [...path, 'directResponse', 'body'],
        expected: `no body with status ${statusCode}`,
        cure: 'remove the body, or answer 200',
      });
  }
}

function checkModifier(filter: FilterFields, path: Path, context: CheckContext): void {
  const modifier = filter.requestHeaderModifier ?? filter.responseHeaderModifier;
  if (modifier === undefined) return;
  const { set, add, remove } = modifier;
  if (set.length + add.length + remove.length === 0)
    context.faultIfWhole({
      path,
      severity: 'warning',
      expected: 'set, add or remove',
      found: 'nothing to change',
      cure: 'remove the filter',
    });
  for (const [list, names] of [
    ['set', set.map((header) => header.name)],
    ['add', add.map((header) => header.name)],
    ['remove', remove],
  ] as const) {
    const seen = new Set<string>();
    names.forEach((name, i) => {
      const lower = name.toLowerCase();
      if (seen.has(lower))
        context.fault({
          path: [...path, list, i],
          expected: 'each header once',
          found: `${name} again`,
          cure: 'remove one of the two',
        });
      seen.add(lower);
    });
  }
}

function checkPathModifier(
  modifier: PathModifierFields | undefined,
  path: Path,
  prefixOnly: boolean,
  context: CheckContext,
): void {
  if (modifier === undefined) return;
  const [own, other] =
    modifier.type === 'ReplaceFullPath'
      ? (['replaceFullPath', 'replacePrefixMatch'] as const)
      : (['replacePrefixMatch', 'replaceFullPath'] as const);
  if (modifier[own] === undefined)
    context.faultIfWhole({
      path,
      expected: `${own} beside type: ${modifier.type}`,
      found: 'none',
      cure: `add ${own}: /…`,
    });
  if (modifier[other] !== undefined)
    context.fault({
      path: [...path, other],
      expected: `${own} only, beside type: ${modifier.type}`,
      cure: `write ${own} in its place`,
    });
  if (modifier.type === 'ReplacePrefixMatch' && !prefixOnly)
    context.faultIfWhole({
      path: [...path, 'type'],
      expected: 'a PathPrefix in every match of the rule',
      found: 'another type of match',
      cure: 'use ReplaceFullPath, or split the rule',
    });
  if (modifier.type === 'ReplacePrefixMatch' && modifier.replacePrefixMatch?.includes('?'))
    context.fault({
      path: [...path, 'replacePrefixMatch'],
      expected: 'a path without query',
      cure: 'leave the query out; that of the request is kept',
    });
}
