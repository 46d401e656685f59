/**
 * What a request counts as where a rate limit has a bucket for each key, and what an answer says of a bucket: the fields of
 * draft-ietf-httpapi-ratelimit-headers-10, which are lists of structured fields (RFC 9651), one member per limit.
 */
import type { RateLimitKey } from '../../config/index.ts';
import type { ConnectionFacts, RequestHead } from '../../message/index.ts';
import { hashKeyOf } from './hash-key.ts';
import { plainAddress } from './ip-address.ts';

/** `client`: its address, the word of trusted proxies included. Empty: the request has no key. */
export function rateLimitKeyOf(
  per: RateLimitKey,
  head: RequestHead,
  client: string,
  facts: ConnectionFacts,
): string {
  if (per.type === 'workload') return workloadOf(facts);
  return hashKeyOf(per, head, plainAddress(client)) ?? '';
}

/** Who calls: the URI of a verified certificate (a SPIFFE ID), else the address of the connection. */
function workloadOf({ tls, remoteAddress }: ConnectionFacts): string {
  return tls?.peer?.uriSans[0] ?? plainAddress(remoteAddress);
}

/**
 * `"name";q=burst;w=seconds`: at most so many at once, all of which come again in so long. A name is of the configuration and
 * needs no escape. Made once per limit.
 */
export function rateLimitPolicyField(name: string, burst: number, fullMs: number): string {
  return `"${name}";q=${burst};w=${wholeSeconds(fullMs)}`;
}

/** `"name";r=remaining;t=seconds`: so many are left, and all are there again in so long. */
export function rateLimitField(name: string, remaining: number, fullInMs: number): string {
  return `"${name}";r=${remaining};t=${wholeSeconds(fullInMs)}`;
}

/** Rounded up, so that nobody comes back too early; at least 1 where there is anything to wait for. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}
