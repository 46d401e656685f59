/**
 * `npm run schema`, second half: writes the tables of docs/ERRORS.md anew, from the failures that the data path knows and from what
 * its own policies make of them. A test fails when they are behind.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cureOf, FAILURE_KINDS, type FailureKind, failure, type Origin } from '../base/index.ts';
import { loadConfig } from '../config/load/index.ts';
import {
  afterFailure,
  compileRetry,
  grpcStatusOfFailure,
  type RetryPolicy,
} from '../dataplane/policy/index.ts';
import { grpcStatusName } from '../message/index.ts';
import { REFUSAL_CURES } from '../telemetry/index.ts';

export const ERRORS_FILE = new URL('../../docs/ERRORS.md', import.meta.url);

const SECTION = /<!-- errors: (\S+) -->\n[\s\S]*?<!-- end -->/g;

/** The document with every table made anew. */
export function errorsText(): string {
  return readFileSync(ERRORS_FILE, 'utf8').replaceAll(
    SECTION,
    (_, name: string) => `<!-- errors: ${name} -->\n${tableOf(name)}\n<!-- end -->`,
  );
}

/** Throws for a section that nobody knows. */
function tableOf(name: string): string {
  switch (name) {
    case 'downstream':
    case 'proxy':
    case 'upstream':
      return failuresOf(name);
    case 'flags':
      return flags();
    case 'retries':
      return table(
        ['`retryRefused`', 'What it means'],
        Object.entries(REFUSAL_CURES).map(([code, cure]) => [`\`${code}\``, cure]),
      );
    default:
      throw new Error(`there is no table "${name}"; correct the comment in docs/ERRORS.md`);
  }
}

const KINDS = Object.keys(FAILURE_KINDS) as FailureKind[];

function failuresOf(origin: Origin): string {
  const policy = defaultPolicy();
  const rows = KINDS.filter((kind) => FAILURE_KINDS[kind].origin === origin).map((kind) => {
    const { flag, status } = FAILURE_KINDS[kind];
    return [
      `\`${kind}\``,
      flag,
      status === 0 ? '–' : String(status),
      status === 0 ? '–' : grpcStatusName(grpcStatusOfFailure(failure(kind))),
      ...(origin === 'upstream' ? [retriedByDefault(policy, kind)] : []),
      cureOf(kind),
    ];
  });
  const retried = origin === 'upstream' ? ['Tried again by default'] : [];
  return table(['Code', 'Flag', 'Status', 'gRPC', ...retried, 'What to do'], rows);
}

/** Of a rule that states nothing. */
function defaultPolicy(): RetryPolicy {
  const loaded = loadConfig(
    'listeners: [{ name: a, address: ":1" }]\nroutes: [{ name: a, rules: [{ backendRefs: [{ name: a }] }] }]\nservices: [{ name: a, endpoints: [{ address: "127.0.0.1:1" }] }]\n',
    'defaults.yaml',
  );
  const rule = loaded.ok ? loaded.draft.routes[0]?.rules[0] : undefined;
  if (rule === undefined) throw new Error('a configuration without anything in it is no longer one');
  return compileRetry(rule.retry);
}

function retriedByDefault(policy: RetryPolicy, kind: FailureKind): string {
  const retried = (method: string, started: boolean): boolean =>
    afterFailure(policy, failure(kind), method, started, false).retry;
  if (retried('POST', true)) return 'yes';
  const idempotent = retried('GET', true);
  if (retried('POST', false))
    return idempotent ? 'idempotent methods; others if nothing was sent' : 'if nothing was sent';
  return idempotent ? 'idempotent methods' : 'no';
}

/** What Envoy calls them, for those that come with a failure. */
const FLAGS: Readonly<Record<string, string>> = {
  DC: 'downstream connection termination',
  DI: 'delay injected: beside another flag, or alone',
  DPE: 'downstream protocol error',
  DT: 'maximum duration reached',
  FI: 'fault injected',
  NC: 'no cluster found',
  NR: 'no route found',
  OM: 'overload manager',
  RL: 'rate limited',
  RLSE: 'rate limit service error',
  SI: 'stream idle timeout',
  UC: 'upstream connection termination',
  UF: 'upstream connection failure',
  UH: 'no healthy upstream',
  UO: 'upstream overflow: a circuit breaker, or a retry that the budget or `maxRetries` did not allow',
  UPE: 'upstream protocol error',
  UR: 'upstream remote reset',
  URX: 'upstream retry limit exceeded: beside another flag, or alone where the last answer was passed on',
  UT: 'upstream request timeout',
};

function flags(): string {
  const used = new Set<string>([...KINDS.map((kind) => FAILURE_KINDS[kind].flag), 'DI', 'URX']);
  const rows = [...used].sort().map((flag) => {
    const kinds = KINDS.filter((kind) => FAILURE_KINDS[kind].flag === flag);
    const words = FLAGS[flag];
    if (words === undefined) throw new Error(`say in src/cli/generate-errors.ts what flag ${flag} means`);
    return [
      flag,
      words,
      flag === 'DPE' ? 'the first table' : kinds.map((kind) => `\`${kind}\``).join(', ') || '–',
    ];
  });
  return table(['Flag', "Envoy's words", 'Codes'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

if (import.meta.main) writeFileSync(ERRORS_FILE, errorsText());
