/**
 * What a rate limit service is told of a request: descriptors, each a list of entries, as Envoy's rate limit actions make them
 * (config.route.v3.RateLimit.Action). An action that finds nothing leaves its whole descriptor out, but a request header
 * that may be absent. Text is one character per byte.
 */
import { RE2JS } from 're2js';
import type { DescriptorAction, GlobalRateLimitConfig } from '../../config/index.ts';
import { type FieldName, nameIdOf, type RequestHead } from '../../message/index.ts';
import { plainAddress } from './ip-address.ts';

/** Of the request. */
export interface DescriptorFacts {
  readonly head: RequestHead;
  /** The one that trusted proxies name, else the peer. */
  readonly clientAddress: string;
  readonly destination: string;
  /** What this proxy calls itself. */
  readonly source: string;
}

interface Entry {
  readonly key: string;
  readonly value: string;
}

/** An entry; `skip`: none, and the descriptor goes on; null: the descriptor is left out. */
type Action = (facts: DescriptorFacts) => Entry | 'skip' | null;

export interface GlobalRateLimit {
  readonly config: GlobalRateLimitConfig;
  /** As it is sent. */
  readonly domain: string;
  readonly descriptors: readonly (readonly Action[])[];
}

/** To be done once per rule. */
export function compileGlobalRateLimit(config: GlobalRateLimitConfig | null): GlobalRateLimit | null {
  if (config === null) return null;
  const descriptors = config.descriptors.map((actions) => actions.map(compileAction));
  return { config, domain: octets(config.domain), descriptors };
}

/** Empty: the service has nothing to count. */
export function descriptorsOf(limit: GlobalRateLimit, facts: DescriptorFacts): Entry[][] {
  const made: Entry[][] = [];
  for (const actions of limit.descriptors) {
    const entries: Entry[] = [];
    if (actions.every((action) => add(entries, action(facts)))) made.push(entries);
  }
  return made;
}

function add(entries: Entry[], entry: Entry | 'skip' | null): boolean {
  if (entry === null) return false;
  if (entry !== 'skip') entries.push(entry);
  return true;
}

function compileAction(action: DescriptorAction): Action {
  switch (action.type) {
    case 'genericKey': {
      const entry = { key: octets(action.key), value: octets(action.value) };
      return () => entry;
    }
    case 'remoteAddress':
      return ({ clientAddress }) => ({ key: 'remote_address', value: plainAddress(clientAddress) });
    case 'requestHeaders': {
      const key = octets(action.key);
      const field = fieldOf(action.header);
      const absent = action.skipIfAbsent ? 'skip' : null;
      return ({ head }) => {
        const value = head.headers.get(field);
        return value === undefined ? absent : { key, value };
      };
    }
    case 'headerValueMatch': {
      const entry = { key: octets(action.key), value: octets(action.value) };
      const { expectMatch } = action;
      const tests = action.headers.map(({ type, name, value }) => ({
        field: fieldOf(name),
        exact: octets(value),
        pattern: type === 'RegularExpression' ? RE2JS.compile(value) : null,
      }));
      const matches = ({ head }: DescriptorFacts): boolean =>
        tests.every(({ field, exact, pattern }) => {
          const value = head.headers.getAll(field);
          return value !== undefined && (pattern === null ? value === exact : pattern.matches(value));
        });
      return (facts) => (matches(facts) === expectMatch ? entry : null);
    }
    case 'destinationCluster':
      return ({ destination }) => ({ key: 'destination_cluster', value: octets(destination) });
    default:
      return ({ source }) => ({ key: 'source_cluster', value: octets(source) });
  }
}

function fieldOf(lowerName: string): FieldName {
  return nameIdOf(lowerName) || lowerName;
}

function octets(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
