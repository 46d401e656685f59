/** How a service's load is shared at one moment: among its priorities, and among the localities of each. */
import type { PolicyPicker } from './policy-picker.ts';
import type { PriorityLoad } from './priority-load.ts';
import { Schedule } from './schedule.ts';
import type { ZoneRouting } from './zone-routing.ts';

export interface Loads {
  readonly byPriority: PriorityLoad;
  /** Some endpoint is degraded. */
  readonly degraded: boolean;
  /** Where every request goes, health regarded, or disregarded in panic; null: there is a choice to make. */
  readonly only: PolicyPicker | null;
  readonly onlyInPanic: boolean;
  /** By priority, shares of localities for healthy and for degraded endpoints; empty: none are stated. */
  readonly healthyShares: readonly LocalityShares[];
  readonly degradedShares: readonly LocalityShares[];
  /** Of the first priority; null: zones don't matter now. */
  readonly zone: ZoneRouting | null;
  readonly waiting: WaitingProbe;
}

/** An endpoint whose ejection is over, and which may get no request because of that. */
export interface WaitingProbe {
  /** Null: there is none. */
  group: PolicyPicker | null;
  position: number;
}

/** Takes localities in turns by weight, as Envoy does: a weighted round robin. */
export class LocalityShares {
  private readonly weights: readonly number[];
  /** Localities with a weight. */
  private readonly order: readonly number[];
  private readonly schedule: Schedule;

  constructor(weights: readonly number[], random: () => number) {
    this.weights = weights;
    this.order = weights.flatMap((weight, locality) => (weight > 0 ? [locality] : []));
    this.schedule = new Schedule(
      this.order.map((locality) => weights[locality] as number),
      random,
    );
  }

  /** A locality; -1: none has a weight. */
  next(): number {
    if (this.order.length === 0) return -1;
    const locality = this.order[this.schedule.next()] as number;
    this.schedule.postpone(this.weights[locality] as number);
    return locality;
  }

  hasWeights(weights: readonly number[]): boolean {
    return weights.every((weight, i) => weight === this.weights[i]);
  }
}

/** Envoy's effective weight: a locality counts as whole while its available share times `factor` percent is 1. */
export function effectiveWeight(weight: number, available: number, total: number, factor: number): number {
  return total === 0 ? 0 : weight * Math.min(1, ((factor / 100) * available) / total);
}
