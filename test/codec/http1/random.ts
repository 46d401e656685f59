/** Seeded randomness (mulberry32), so that a failure can be repeated: OUTBOARD_TEST_SEED=n. */
export const SEED = Number(process.env.OUTBOARD_TEST_SEED ?? Date.now() % 2 ** 31);

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** An integer in [0, below). */
  int(below: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  chance(oneIn: number): boolean {
    return this.int(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)] as T;
  }

  /** Up to `count` sorted positions inside `length` bytes. */
  cuts(length: number, count: number): number[] {
    const cuts: number[] = [];
    for (let i = this.int(count + 1); i > 0; i--) cuts.push(this.int(length + 1));
    return cuts.sort((a, b) => a - b);
  }
}
