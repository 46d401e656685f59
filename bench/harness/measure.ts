/** Nanoseconds of one call of a hot function, for the micro-benchmarks: median and best of many short rounds. */
const ROUNDS = 61;

/** `perRound`: calls between two readings of the clock. Prints one line. */
export function measure(name: string, perRound: number, run: () => void): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < perRound; i++) run();
    times.push(Number(process.hrtime.bigint() - start) / perRound);
  }
  print(name, times);
}

/** The same of what needs the event loop: `run` does `size` at once and resolves when all are done. */
export async function measureBatches(
  name: string,
  size: number,
  perRound: number,
  run: () => Promise<void>,
): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < perRound; i++) await run();
    times.push(Number(process.hrtime.bigint() - start) / perRound / size);
  }
  print(name, times);
}

function print(name: string, times: number[]): void {
  times.sort((a, b) => a - b);
  console.log(`${name}: ${times[ROUNDS >> 1]?.toFixed(0)} ns, best ${times[0]?.toFixed(0)}`);
}
