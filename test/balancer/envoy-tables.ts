/**
 * The worked examples of Envoy's documentation on load balancing (docs/root/intro/arch_overview/upstream/load_balancing), row by
 * row, and those that stand beside its code. Figures are percentages.
 *
 * In three rows the documentation rounds otherwise than Envoy's code: priority loads to the nearest, where the code rounds down
 * and gives what is left to the first priority, and what a locality can bear down, where the code does not round. Both are
 * here; the code counts (test/peers/envoy-load.test.ts asks the real Envoy).
 */

/** Of the endpoints of a priority: healthy, degraded; the others are unhealthy. */
export type Health = readonly [healthy: number, degraded: number];

export interface PriorityRow {
  readonly health: readonly Health[];
  /** To healthy endpoints, or to all of a priority in panic, by priority. */
  readonly load: readonly number[];
  /** To degraded endpoints; absent: none. */
  readonly degradedLoad?: readonly number[];
  readonly panic?: readonly boolean[];
  readonly normalizedTotal?: number;
  /** What the documentation says, where its rounding is another. */
  readonly documented?: readonly number[];
}

const healthy = (...shares: readonly number[]): Health[] => shares.map((share) => [share, 0]);

/** priority.rst, two priorities of which the second is healthy. */
export const TWO_PRIORITIES: readonly PriorityRow[] = [
  { health: healthy(100, 100), load: [100, 0] },
  { health: healthy(72, 100), load: [100, 0] },
  { health: healthy(71, 100), load: [99, 1] },
  { health: healthy(50, 100), load: [70, 30] },
  { health: healthy(25, 100), load: [35, 65] },
  { health: healthy(0, 100), load: [0, 100] },
];

/** priority.rst, two priorities. */
export const TWO_UNHEALTHY: readonly PriorityRow[] = [
  { health: healthy(100, 100), load: [100, 0] },
  { health: healthy(72, 72), load: [100, 0] },
  { health: healthy(71, 71), load: [99, 1] },
  { health: healthy(50, 50), load: [70, 30] },
  { health: healthy(25, 100), load: [35, 65] },
  { health: healthy(25, 25), load: [50, 50] },
];

/** priority.rst, three priorities. */
export const THREE_PRIORITIES: readonly PriorityRow[] = [
  { health: healthy(100, 100, 100), load: [100, 0, 0] },
  { health: healthy(72, 72, 100), load: [100, 0, 0] },
  { health: healthy(71, 71, 100), load: [99, 1, 0] },
  { health: healthy(50, 50, 100), load: [70, 30, 0] },
  { health: healthy(25, 100, 100), load: [35, 65, 0] },
  { health: healthy(25, 25, 100), load: [35, 35, 30] },
];

/** The last row of priority.rst. In panic, as all of them are below 50 %, load would go by size: it holds without. */
export const THREE_SCALED: PriorityRow = {
  health: healthy(25, 25, 20),
  load: [37, 35, 28],
  documented: [36, 36, 28],
};

/** panic_threshold.rst, threshold 50 %, the second priority healthy. */
export const PANIC_DISREGARDED: readonly PriorityRow[] = [
  [72, 100],
  [71, 99],
  [50, 70],
  [25, 35],
  [0, 0],
].map(([share, first]) => ({
  health: healthy(share as number, 100),
  load: [first as number, 100 - (first as number)],
  panic: [false, false],
  normalizedTotal: 100,
}));

/** panic_threshold.rst, threshold 50 %, both priorities unhealthy. */
export const PANIC: readonly PriorityRow[] = [
  { health: healthy(72, 72), load: [100, 0], panic: [false, false], normalizedTotal: 100 },
  { health: healthy(71, 71), load: [99, 1], panic: [false, false], normalizedTotal: 100 },
  { health: healthy(50, 60), load: [70, 30], panic: [false, false], normalizedTotal: 100 },
  { health: healthy(25, 100), load: [35, 65], panic: [false, false], normalizedTotal: 100 },
  { health: healthy(25, 25), load: [50, 50], panic: [true, true], normalizedTotal: 70 },
  {
    health: healthy(5, 65),
    load: [8, 92],
    panic: [true, false],
    normalizedTotal: 98,
    documented: [7, 93],
  },
];

/** degraded.rst. Without panic, in which the last row's priority would be. */
export const DEGRADED: readonly PriorityRow[] = [
  { health: [[100, 0]], load: [100], degradedLoad: [0] },
  { health: [[71, 0]], load: [100], degradedLoad: [0] },
  { health: [[71, 29]], load: [99], degradedLoad: [1] },
  { health: [[25, 65]], load: [35], degradedLoad: [65] },
  { health: [[5, 0]], load: [100], degradedLoad: [0] },
];

/** load_balancer_impl.cc, what endpoints can bear (10, 20, 10 healthy and 20, 10, 0 degraded) as it is written there. */
export const SCALED_DEGRADED = {
  factor: 100,
  health: [
    [10, 20],
    [20, 10],
    [10, 0],
  ],
  load: [16, 28, 14],
  degradedLoad: [28, 14, 0],
} as const;

/** panic_threshold.rst: in panic everywhere load goes by the number of endpoints. */
export const TOTAL_PANIC = [
  { sizes: [5, 5], load: [50, 50] },
  { sizes: [2, 8], load: [20, 80] },
] as const;

/** locality_weight.rst: weights 1 and 2, the second locality healthy. */
export const LOCALITY_WEIGHTS = [
  { healthy: 100, load: [33, 67] },
  { healthy: 70, load: [33, 67] },
  { healthy: 69, load: [33, 67], documented: [32, 68] },
  { healthy: 50, load: [26, 74] },
  { healthy: 25, load: [15, 85] },
  { healthy: 0, load: [0, 100] },
] as const;

/** load_balancer_impl.cc: shares of callers and endpoints by zone, and what of the rest each other zone gets. */
export const ZONES = { local: [40, 40, 20], upstream: [25, 50, 25], parts: [0, 1_000, 500] } as const;
