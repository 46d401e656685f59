/**
 * Peak EWMA, Finagle's and Linkerd's: of two endpoints drawn at random the one where the request is likely to be answered first,
 * by its latency times the requests it would have in flight. A slow answer counts at once, so that an endpoint in a garbage
 * collection or with a slow disk is left alone; as time passes without one it is forgotten. An endpoint's weight divides its
 * cost.
 *
 * The latency is the node's, in the ledger, as the requests in flight are: what one worker has noticed none of the others
 * has to find out at the cost of a request of its own.
 */
import type { PeakEwmaConfig } from '../../config/index.ts';
import type { PickState } from './picker.ts';
import { BEST, type Group, PolicyPicker } from './policy-picker.ts';

export class PeakEwmaPicker extends PolicyPicker {
  private readonly ewma: PeakEwmaConfig;

  constructor(group: Group) {
    super(group);
    this.ewma = group.loadBalancer.peakEwma as PeakEwmaConfig;
  }

  propose(state: PickState): number {
    const { size } = this;
    const first = Math.floor(state.random() * size);
    if (size === 1) return this.fits(first, BEST, state) ? first : -1;
    let second = Math.floor(state.random() * (size - 1));
    if (second >= first) second++;
    const firstFits = this.fits(first, BEST, state);
    if (!this.fits(second, BEST, state)) return firstFits ? first : -1;
    if (!firstFits) return second;
    return this.cost(second, state) < this.cost(first, state) ? second : first;
  }

  share(position: number, state: PickState): number {
    return 1 / Math.max(this.cost(position, state), Number.MIN_VALUE);
  }

  private cost(position: number, { view, nowMs }: PickState): number {
    const { decayMs, defaultRttMs } = this.ewma;
    const slot = this.slots[position] as number;
    const latencyMs = view.latencyMs(slot, nowMs, decayMs, defaultRttMs);
    return (latencyMs * (view.active(slot) + 1)) / (this.weights[position] as number);
  }
}
