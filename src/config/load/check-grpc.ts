/** Checks of meaning for what matches gRPC requests. */
import { grpcPath } from '../grpc-path.ts';
import type { CheckContext } from './context.ts';
import { regexFault } from './regex.ts';
import type { RuleFields } from './route-schema.ts';
import type { Path } from './source-text.ts';

type MatchFields = RuleFields['matches'][number];
type GrpcFields = NonNullable<MatchFields['grpc']>;

/** `path` is that of the match. */
export function checkGrpcMatch(match: MatchFields, path: Path, context: CheckContext): void {
  const { grpc } = match;
  if (grpc === undefined) return;
  const at = [...path, 'grpc'];
  const { service, method } = grpc;
  // A path that says what its default says contradicts nothing.
  const withPath = match.path.type !== 'PathPrefix' || match.path.value !== '/';
  for (const [key, stated] of [
    ['path', withPath],
    ['method', match.method !== undefined],
  ] as const)
    if (stated)
      context.fault({
        path: [...path, key],
        expected: `no ${key} beside grpc`,
        cure: 'a gRPC request is a POST to /SERVICE/METHOD: grpc says it all; or write a match of its own',
      });
  if (service === undefined && method === undefined)
    context.faultIfWhole({
      path: at,
      expected: 'service, method or both',
      found: 'neither',
      cure: 'name one; every gRPC request: headers: [{ type: RegularExpression, name: content-type, value: "application/grpc([+;].*)?" }]',
    });
  const sound = [checkPart(grpc, 'service', at, context), checkPart(grpc, 'method', at, context)];
  if (grpc.type === 'RegularExpression' && !sound.includes(false)) {
    const fault = regexFault(grpcPath(grpc).value);
    if (fault !== null) context.fault({ path: at, expected: `together ${fault.expected}`, cure: fault.cure });
  }
}

/** False: the part has a fault. */
function checkPart(grpc: GrpcFields, key: 'service' | 'method', path: Path, context: CheckContext): boolean {
  const value = grpc[key];
  if (value === undefined) return true;
  const at = [...path, key];
  if (grpc.type === 'Exact') {
    if (NAMES[key].test(value)) return true;
    context.fault({ path: at, expected: EXPECTED[key], cure: nameCure(key, value) });
    return false;
  }
  if (value === '' || value.includes('/')) {
    const cure =
      value === ''
        ? `leave ${key} out`
        : 'service and method are matched each for itself; write . for any character';
    context.fault({ path: at, expected: 'a pattern of a name, which holds no "/"', cure });
    return false;
  }
  const fault = regexFault(value);
  if (fault !== null) context.fault({ path: at, expected: fault.expected, cure: fault.cure });
  return fault === null;
}

function nameCure(key: 'service' | 'method', value: string): string {
  if (value === '') return `leave ${key} out: then every ${key} matches`;
  if (value.includes('/')) return 'write service: PACKAGE.SERVICE and method: METHOD';
  if (value.startsWith('.')) return 'leave the dot in front out';
  return /[*^$()[\]|\\?+]/.test(value)
    ? 'a pattern needs type: RegularExpression'
    : 'use letters, digits and "_"';
}

/** Gateway API's, for type Exact. */
const NAMES = {
  service: /^[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*$/,
  method: /^[A-Za-z_][A-Za-z_0-9]*$/,
} as const;
const EXPECTED = {
  service: 'the name of a gRPC service such as shop.v1.Cart',
  method: 'the name of a gRPC method such as AddItem',
} as const;
