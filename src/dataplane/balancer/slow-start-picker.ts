/** A group in which new endpoints start slowly: by weights while there are any, else as without slow start. */
import type { SlowStartConfig } from '../../config/index.ts';
import type { PickState } from './picker.ts';
import { type Group, PolicyPicker } from './policy-picker.ts';
import { WeightedPicker } from './weighted.ts';

export class SlowStartPicker extends PolicyPicker {
  private readonly settled: PolicyPicker;
  private readonly warming: WeightedPicker;
  private readonly windowMs: number;

  /** `settled`: picks while nobody is in its window. */
  constructor(group: Group, { windowMs }: SlowStartConfig, settled: PolicyPicker) {
    super(group);
    this.windowMs = windowMs;
    this.settled = settled;
    this.warming = new WeightedPicker(group);
  }

  override onCount(state: PickState): void {
    const { view, nowMs } = state;
    const warming = this.slots.some((slot) => view.inUseForMs(slot, nowMs) < this.windowMs);
    // A schedule of long ago would let those that were passed over catch up.
    if (warming !== state.warming[this.id]) state.schedules[this.id] = null;
    state.warming[this.id] = warming;
  }

  propose(state: PickState): number {
    return (state.warming[this.id] === true ? this.warming : this.settled).propose(state);
  }

  share(position: number, state: PickState): number {
    return this.warming.share(position, state);
  }
}
