/**
 * Least request with equal weights: of two endpoints drawn at random the one with fewer requests in flight
 * (power of two choices; Envoy's `choice_count` 2). The two are never the same one, unlike Envoy's.
 */
import type { PickState } from './picker.ts';
import { BEST, PolicyPicker } from './policy-picker.ts';

export class LeastRequestPicker extends PolicyPicker {
  propose(state: PickState): number {
    const { size, slots } = this;
    const first = Math.floor(state.random() * size);
    if (size === 1) return this.fits(first, BEST, state) ? first : -1;
    let second = Math.floor(state.random() * (size - 1));
    if (second >= first) second++;
    const firstFits = this.fits(first, BEST, state);
    if (!this.fits(second, BEST, state)) return firstFits ? first : -1;
    if (!firstFits) return second;
    const { view } = state;
    return view.active(slots[second] as number) < view.active(slots[first] as number) ? second : first;
  }

  share(position: number, state: PickState): number {
    return 1 / (state.view.active(this.slots[position] as number) + 1);
  }
}
