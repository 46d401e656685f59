/**
 * Round robin and least request with unequal weights, as Envoy does both: by a schedule of the configured
 * weights, which least request divides by the requests in flight plus one at the time of the pick, and slow start
 * diminishes.
 */
import type { SlowStartConfig } from '../../config/index.ts';
import type { PickState } from './picker.ts';
import { BEST, type Group, PolicyPicker } from './policy-picker.ts';
import { Schedule } from './schedule.ts';
import { slowStartFactor } from './slow-start.ts';

export class WeightedPicker extends PolicyPicker {
  private readonly byLoad: boolean;
  private readonly slowStart: SlowStartConfig | null;

  constructor(group: Group) {
    super(group);
    this.byLoad = group.loadBalancer.policy === 'least-request';
    this.slowStart = group.loadBalancer.slowStart;
  }

  propose(state: PickState): number {
    let schedule = state.schedules[this.id];
    if (schedule == null) {
      const shares = this.weights.map((_, position) => this.share(position, state));
      schedule = new Schedule(shares, state.random);
      state.schedules[this.id] = schedule;
    }
    const position = schedule.next();
    schedule.postpone(this.share(position, state));
    return this.fits(position, BEST, state) ? position : -1;
  }

  share(position: number, state: PickState): number {
    const { slowStart } = this;
    const slot = this.slots[position] as number;
    let weight = this.weights[position] as number;
    if (slowStart !== null) weight *= slowStartFactor(slowStart, state.view.inUseForMs(slot, state.nowMs));
    return this.byLoad ? weight / (state.view.active(slot) + 1) : weight;
  }
}
