/**
 * Header, query and gRPC conditions of a match. They are looked at only for the few matches whose path and
 * method fit. Regular expressions must match the whole value, as in Envoy, and run on a linear-time engine.
 *
 * A header that is repeated is compared as one value joined by `, ` (RFC 9110 section 5.3); of a repeated query
 * parameter the first counts (Gateway API's recommendation). Of several conditions on one name only the first
 * holds (Gateway API).
 */
import { RE2JS } from 're2js';
import type { MatchConfig, ValueMatch } from '../../config/index.ts';
import { type FieldName, H, isGrpc, type RequestHead } from '../../message/index.ts';
import { fieldOf, octets } from './header-edit.ts';
import type { PreparedPath } from './normalize-path.ts';

export interface Conditions {
  /** gRPC requests only. */
  readonly grpc: boolean;
  readonly headers: readonly HeaderCondition[];
  readonly query: readonly ValueTest[];
}

interface ValueTest {
  readonly name: string;
  readonly exact: string;
  /** Null: the value must equal `exact`. */
  readonly pattern: RE2JS | null;
}

interface HeaderCondition extends ValueTest {
  readonly field: FieldName;
}

/** Null when the match states no such condition. */
export function compileConditions(match: MatchConfig): Conditions | null {
  const headers = firstOfEachName(match.headers, true).map((test) => ({
    ...compileTest(test, octets(test.value)),
    field: fieldOf(test.name),
  }));
  const query = firstOfEachName(match.queryParams, false).map((test) => compileTest(test, test.value));
  const { grpc } = match;
  return grpc || headers.length > 0 || query.length > 0 ? { grpc, headers, query } : null;
}

export function holds(conditions: Conditions, head: RequestHead, path: PreparedPath): boolean {
  const { grpc, headers, query } = conditions;
  if (grpc && !isGrpc(head.headers)) return false;
  for (let i = 0; i < headers.length; i++) {
    const condition = headers[i] as HeaderCondition;
    const value = condition.field === H.host ? head.authority : head.headers.getAll(condition.field);
    if (value === undefined || !passes(condition, value)) return false;
  }
  if (query.length === 0) return true;
  if (path.query === '') return false;
  const parameters = parametersOf(path.query);
  for (let i = 0; i < query.length; i++) {
    const condition = query[i] as ValueTest;
    const value = parameters.get(condition.name);
    if (value === null || !passes(condition, value)) return false;
  }
  return true;
}

function passes(test: ValueTest, value: string): boolean {
  return test.pattern ? test.pattern.matches(value) : value === test.exact;
}

function compileTest(test: ValueMatch, exact: string): ValueTest {
  const pattern = test.type === 'RegularExpression' ? RE2JS.compile(test.value) : null;
  return { name: test.name, exact, pattern };
}

function firstOfEachName(tests: readonly ValueMatch[], ignoreCase: boolean): ValueMatch[] {
  const seen = new Set<string>();
  return tests.filter(({ name }) => {
    const key = ignoreCase ? name.toLowerCase() : name;
    return !seen.has(key) && seen.add(key);
  });
}

// The last query parsed: several candidates of one request ask about the same one, and without this a
// long query would be parsed once per candidate.
let lastQuery = '';
let lastParameters = new URLSearchParams();

/** Parameters decoded as a form (`+` is a space). */
function parametersOf(query: string): URLSearchParams {
  if (query !== lastQuery) {
    lastParameters = new URLSearchParams(query);
    lastQuery = query;
  }
  return lastParameters;
}
