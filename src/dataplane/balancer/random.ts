/** Random by weight, by Vose's alias method: one draw and one table look-up, however many endpoints. */
import type { PickState } from './picker.ts';
import { BEST, type Group, PolicyPicker } from './policy-picker.ts';

export class RandomPicker extends PolicyPicker {
  /** Column `i` is position `i` up to `limits[i]`, and `aliases[i]` above. */
  private readonly limits: Float64Array;
  private readonly aliases: Int32Array;

  constructor(group: Group) {
    super(group);
    const { size, weights } = this;
    this.limits = new Float64Array(size).fill(1);
    this.aliases = new Int32Array(size);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const filled = Float64Array.from(weights, (weight) => (weight * size) / total);
    const under: number[] = [];
    const over: number[] = [];
    for (let i = 0; i < size; i++) ((filled[i] as number) < 1 ? under : over).push(i);
    while (under.length > 0 && over.length > 0) {
      const small = under.pop() as number;
      const large = over.at(-1) as number;
      this.limits[small] = filled[small] as number;
      this.aliases[small] = large;
      filled[large] = (filled[large] as number) - (1 - (filled[small] as number));
      if ((filled[large] as number) < 1) under.push(over.pop() as number);
    }
  }

  propose(state: PickState): number {
    const point = state.random() * this.size;
    const column = Math.floor(point);
    const position =
      point - column < (this.limits[column] as number) ? column : (this.aliases[column] as number);
    return this.fits(position, BEST, state) ? position : -1;
  }

  share(position: number): number {
    return this.weights[position] as number;
  }
}
