/**
 * Round robin with equal weights: the next endpoint in order, from a random start, so that workers don't
 * march in step.
 */
import { BEST, type PickState, PolicyPicker } from './picker.ts';

export class RoundRobinPicker extends PolicyPicker {
  protected propose(state: PickState): number {
    if (state.cursor < 0) state.cursor = Math.floor(state.random() * this.size);
    const position = state.cursor % this.size;
    state.cursor = position + 1;
    return this.fits(position, BEST, state) ? position : -1;
  }

  protected share(): number {
    return 1;
  }
}
