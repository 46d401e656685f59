/**
 * Envoy's zone aware routing (load_balancer_impl.cc): requests stay in the caller's own locality as far as every endpoint of
 * the service still gets the same number of them, whatever the callers' localities. That needs to know where all callers are:
 * they are the endpoints of the local service.
 *
 * If the caller's locality has a greater share of the callers than of the endpoints, only the part that fits stays; the rest
 * goes where endpoints have a greater share than callers, in proportion to the difference. Shares are in hundredths of a
 * percent, rounded down, as Envoy's.
 */

/** Healthy endpoints of one locality: of the service, and of the local service. The caller's own locality comes first. */
export interface LocalityCount {
  readonly upstream: number;
  readonly local: number;
}

/** `direct`: all requests stay. `residual`: so many of 10,000 do; the others are dealt out by these parts. */
export type ZoneRouting =
  | { readonly kind: 'direct' }
  | { readonly kind: 'residual'; readonly stay: number; readonly parts: readonly number[] };

/**
 * `localTotal`: healthy endpoints of the local service anywhere. `hasOwn`: the first of `counts` is the caller's own
 * locality; false: the service has no endpoints there.
 */
export function zoneRouting(
  counts: readonly LocalityCount[],
  localTotal: number,
  hasOwn: boolean,
): ZoneRouting {
  const upstreamTotal = counts.reduce((total, { upstream }) => total + upstream, 0);
  const shares = counts.map(({ upstream, local }) => ({
    // Envoy doesn't know the locality of a list that is empty, and takes it for nobody's.
    local: localTotal === 0 || upstream === 0 ? 0 : Math.floor((10_000 * local) / localTotal),
    upstream: upstreamTotal === 0 ? 0 : Math.floor((10_000 * upstream) / upstreamTotal),
  }));
  const own = hasOwn ? shares[0] : undefined;
  if (own !== undefined && own.upstream > 0 && own.upstream >= own.local) return { kind: 'direct' };
  const stay = own === undefined || own.local === 0 ? 0 : Math.floor((own.upstream * 10_000) / own.local);
  const parts = shares.map(({ upstream, local }, i) =>
    own !== undefined && i === 0 ? 0 : Math.max(0, upstream - local),
  );
  return { kind: 'residual', stay, parts };
}
