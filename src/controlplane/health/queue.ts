/** At most so many checks at once, in the order they were asked for. */

export class CheckQueue {
  private readonly limit: number;
  private readonly waiting = new Set<() => void>();
  private running = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** `start` begins a check and must call its argument once when that has ended. Returns how to take it back. */
  add(start: (done: () => void) => void): () => void {
    const run = (): void => {
      this.running++;
      start(() => {
        this.running--;
        this.next();
      });
    };
    this.waiting.add(run);
    this.next();
    return () => void this.waiting.delete(run);
  }

  private next(): void {
    for (const run of this.waiting) {
      if (this.running >= this.limit) return;
      this.waiting.delete(run);
      run();
    }
  }
}
