/**
 * How load is shared among priorities, as Envoy does it (load_balancer_impl.cc), in whole percent. A priority takes what its
 * healthy endpoints can bear: their share of all its endpoints times the overprovisioning factor, at most 100 %. What one can't
 * bear goes to the next; then come the degraded endpoints, in the same order. Where all of them together can't bear 100 %,
 * what they can is scaled up to it, and a priority with too small a share of available endpoints is in panic: it gets its load
 * whatever the health of its endpoints. Where all are in panic, load goes by the number of endpoints.
 */

/** Of the endpoints of one priority. */
export interface HealthCount {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

/** By priority. */
export interface PriorityLoad {
  /** Percent of all requests that healthy endpoints of the priority get, or all of them in panic; with `degraded` 100. */
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  readonly panic: readonly boolean[];
  /** What all endpoints together can bear, in percent, at most 100. */
  readonly availability: number;
}

/** `factor` and `panicThreshold` are percentages; a threshold of 0 means no panic. There is one priority at least. */
export function priorityLoad(
  counts: readonly HealthCount[],
  factor: number,
  panicThreshold: number,
): PriorityLoad {
  const health = counts.map(({ healthy, total }) => borne(healthy, total, factor));
  const degradedHealth = counts.map(({ degraded, total }) => borne(degraded, total, factor));
  const availability = Math.min(100, sum(health) + sum(degradedHealth));
  if (availability === 100) {
    return { ...shared(health, degradedHealth, 100), panic: counts.map(() => false), availability };
  }
  const panic = counts.map((count) => isInPanic(count, panicThreshold));
  if (panic.every((itself) => itself)) return { ...byTotals(counts), panic, availability };
  if (availability > 0) return { ...shared(health, degradedHealth, availability), panic, availability };
  // Nobody can be asked and health may not be ignored.
  const nowhere = counts.map(() => 0);
  return { healthy: nowhere.with(0, 100), degraded: nowhere, panic, availability };
}

/** Whether too few are available, of endpoints that can't bear the load. Of none too few are. */
export function isInPanic({ total, healthy, degraded }: HealthCount, threshold: number): boolean {
  if (threshold === 0) return false;
  return total === 0 || ((healthy + degraded) * 100) / total < threshold;
}

/** Percent of the load that `usable` of `total` endpoints can bear. */
function borne(usable: number, total: number, factor: number): number {
  return total === 0 ? 0 : Math.min(100, Math.floor((factor * usable) / total));
}

function shared(
  health: readonly number[],
  degradedHealth: readonly number[],
  availability: number,
): Pick<PriorityLoad, 'healthy' | 'degraded'> {
  let left = 100;
  const take = (borne: number): number => {
    const taken = Math.min(left, Math.floor((borne * 100) / availability));
    left -= taken;
    return taken;
  };
  const healthy = health.map(take);
  const degraded = degradedHealth.map(take);
  // What is left by rounding: to the first that can take any.
  const first = health.findIndex((borne) => borne > 0);
  if (first >= 0) healthy[first] = (healthy[first] as number) + left;
  else {
    const other = degradedHealth.findIndex((borne) => borne > 0);
    degraded[other] = (degraded[other] as number) + left;
  }
  return { healthy, degraded };
}

function byTotals(counts: readonly HealthCount[]): Pick<PriorityLoad, 'healthy' | 'degraded'> {
  const all = sum(counts.map(({ total }) => total));
  const healthy = counts.map(({ total }) => (all === 0 ? 0 : Math.floor((100 * total) / all)));
  const first = all === 0 ? 0 : counts.findIndex(({ total }) => total > 0);
  healthy[first] = (healthy[first] as number) + 100 - sum(healthy);
  return { healthy, degraded: counts.map(() => 0) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
