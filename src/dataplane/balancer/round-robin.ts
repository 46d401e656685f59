/**
 * Round robin with equal weights: the next endpoint in order, from a random start, so that workers don't
 * march in step.
 */
import type { PickState } from './picker.ts';
import { BEST, PolicyPicker } from './policy-picker.ts';

export class RoundRobinPicker extends PolicyPicker {
  propose(state: PickState): number {
    const { cursors } = state;
    const position = (cursors[this.id] ?? Math.floor(state.random() * this.size)) % this.size;
    cursors[this.id] = position + 1;
    return this.fits(position, BEST, state) ? position : -1;
  }

  share(): number {
    return 1;
  }
}
