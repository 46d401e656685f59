/**
 * Round robin and least request with unequal weights, as Envoy does both: by a schedule of the configured
 * weights, which least request divides by the requests in flight plus one at the time of the pick.
 */
import type { ServiceConfig } from '../../config/index.ts';
import { BEST, type PickState, PolicyPicker } from './picker.ts';
import { Schedule } from './schedule.ts';

export class WeightedPicker extends PolicyPicker {
  private readonly byLoad: boolean;

  /** `byLoad`: least request, else round robin. */
  constructor(service: ServiceConfig, byLoad: boolean) {
    super(service);
    this.byLoad = byLoad;
  }

  protected propose(state: PickState): number {
    if (state.scheduled !== this || state.schedule === null) {
      state.schedule = new Schedule(this.weights, state.random);
      state.scheduled = this;
    }
    const position = state.schedule.next();
    state.schedule.postpone(this.share(position, state));
    return this.fits(position, BEST, state) ? position : -1;
  }

  protected share(position: number, state: PickState): number {
    const weight = this.weights[position] as number;
    return this.byLoad ? weight / (state.view.active(this.slots[position] as number) + 1) : weight;
  }
}
