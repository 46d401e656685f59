/**
 * Rate limits of the snapshot: those that this node counts itself, wherever they stand (listener, rule, service), and those
 * that a rate limit service counts.
 */
import type { ValueMatch } from './route-config.ts';
import type { HashKeyConfig } from './service-config.ts';

export interface RateLimitConfig {
  /** Where it stands, and its name: `routes/shop/0/per-user`. No other limit has it. */
  readonly id: string;
  readonly name: string;
  /** Tokens that come in every interval, one by one. */
  readonly requests: number;
  readonly intervalMs: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
  /** What has a bucket of its own; null: all requests share one. */
  readonly per: RateLimitKey | null;
  /** Share of the requests over the limit that are refused, 0 to 100; the others are counted only. */
  readonly enforcedPercent: number;
  /** Of a refusal. */
  readonly status: number;
  /** Answers tell what is left (RateLimit, RateLimit-Policy). */
  readonly headers: boolean;
}

/** `workload`: who calls, by the URI of its verified certificate, else by the address of the connection. */
export type RateLimitKey = HashKeyConfig | { readonly type: 'workload' };

/** A limit's place in the ledger, given by the supervisor. */
export interface RateLimitSlot {
  /** The limit and what its bucket depends on: another rate is another bucket, and begins full. */
  readonly name: string;
  readonly id: string;
  readonly slot: number;
  /** -1: it has no keys. */
  readonly table: number;
  readonly requests: number;
  readonly intervalMs: number;
  readonly burst: number;
}

/** Asks a service of Envoy's rate limit protocol (envoy.service.ratelimit.v3) for leave. */
export interface GlobalRateLimitConfig {
  readonly service: string;
  readonly domain: string;
  /** Each is one descriptor, of the entries that its actions make; one that makes none is left out. */
  readonly descriptors: readonly (readonly DescriptorAction[])[];
  readonly timeoutMs: number;
  /** Requests are refused while the service does not answer; false: they pass. */
  readonly failureModeDeny: boolean;
  /** Of a refusal, and of one because the service does not answer. */
  readonly status: number;
  readonly statusOnError: number;
  readonly enforcedPercent: number;
  /** Answers get X-RateLimit-Limit, -Remaining and -Reset. */
  readonly headers: boolean;
}

/** Envoy's config.route.v3.RateLimit.Action. Header names are in lower case. */
export type DescriptorAction =
  | { readonly type: 'genericKey'; readonly key: string; readonly value: string }
  | { readonly type: 'remoteAddress' }
  | {
      readonly type: 'requestHeaders';
      readonly header: string;
      readonly key: string;
      readonly skipIfAbsent: boolean;
    }
  | {
      readonly type: 'headerValueMatch';
      readonly key: string;
      readonly value: string;
      readonly expectMatch: boolean;
      readonly headers: readonly ValueMatch[];
    }
  | { readonly type: 'destinationCluster' }
  | { readonly type: 'sourceCluster' };

/** `RateLimitSlot.name` of a limit. */
export function rateLimitKey({ id, requests, intervalMs, burst, per }: RateLimitConfig): string {
  return `${id}|${requests}/${intervalMs}ms+${burst}|${per === null ? '' : JSON.stringify(per)}`;
}
