/** Envoy's gradient controller, over a real ledger: its arithmetic, its windows, and several workers at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AdaptiveConcurrencyConfig } from '../../src/config/index.ts';
import { GradientController, gradientStep, quantileUs } from '../../src/dataplane/policy/index.ts';
import { attachLedger, createLedger, GAUGE, type Ledger } from '../../src/ledger/index.ts';
import { seeded } from '../router/seeded.ts';

const CONFIG: AdaptiveConcurrencyConfig = {
  percentile: 50,
  updateIntervalMs: 100,
  maxLimit: 1000,
  minLimit: null,
  minRtt: {
    intervalMs: 60_000,
    requestCount: 50,
    jitterPercent: 15,
    minConcurrency: 3,
    bufferPercent: 25,
    fixedMs: null,
  },
};

const SLOT = 0;

/** A node of so many workers with one service, and a clock that the test moves. */
class Node {
  nowMs = 1_000;
  readonly ledger: Ledger;
  readonly workers: GradientController[];

  constructor(config: AdaptiveConcurrencyConfig = CONFIG, workers = 1, startMs = 1_000) {
    this.nowMs = startMs;
    this.ledger = createLedger({ workers, maxServices: 4, maxEndpoints: 4 });
    this.ledger.allocateService('s');
    this.workers = Array.from({ length: workers }, (_, i) => {
      this.ledger.workerStarting(i, 0);
      return new GradientController(
        config,
        SLOT,
        attachLedger(this.ledger.buffers, i),
        () => 0.5,
        this.nowMs,
      );
    });
    // What begins in the very ms of the window is not its sample.
    this.nowMs++;
  }

  get limit(): number {
    return this.ledger.readAdaptive(SLOT)?.limit ?? 0;
  }

  get measuring(): boolean {
    return this.ledger.readAdaptive(SLOT)?.measuringMinRtt ?? false;
  }

  /** One request of this latency, through worker `index`; false: it was refused. */
  request(latencyMs: number, index = 0): boolean {
    const controller = this.workers[index] as GradientController;
    if (!controller.admit()) return false;
    const startMs = this.nowMs;
    this.nowMs += latencyMs;
    controller.release();
    controller.sample(startMs, this.nowMs);
    return true;
  }

  /** So many requests, one after the other. */
  requests(count: number, latencyMs: number): void {
    for (let i = 0; i < count; i++) assert.ok(this.request(latencyMs, i % this.workers.length));
  }

  /** The window's worth of requests that all take so long. */
  window(latencyMs: number): void {
    const endMs = this.nowMs + CONFIG.updateIntervalMs + latencyMs;
    while (this.nowMs < endMs) this.requests(1, latencyMs);
  }
}

describe("Envoy's arithmetic", () => {
  const step = (limit: number, minRttMs: number, sampleMs: number) =>
    gradientStep(CONFIG, limit, minRttMs * 1_000, sampleMs * 1_000, 3);

  test('the gradient is minRTT and its buffer over the sample, from 0.5 to 2', () => {
    assert.equal(step(100, 10, 10).gradient, 1.25);
    assert.equal(step(100, 10, 20).gradient, 0.625);
    assert.equal(step(100, 10, 1_000).gradient, 0.5);
    assert.equal(step(100, 10, 1).gradient, 2);
  });

  test('the limit is the old one by the gradient, and the root of that', () => {
    // 100 · 1.25 = 125, √125 = 11.18
    assert.equal(step(100, 10, 10).limit, 136);
    // 64 · 0.625 = 40, √40 = 6.32
    assert.equal(step(64, 10, 20).limit, 46);
    // 3 · 2 = 6, √6 = 2.45
    assert.equal(step(3, 10, 1).limit, 8);
  });

  test('the limit stays between the lowest and the highest', () => {
    assert.equal(step(3, 10, 1_000).limit, 3);
    assert.equal(step(900, 10, 1).limit, 1000);
  });

  test('quantiles are right to 6 %, over five orders of magnitude', () => {
    const seed = 11;
    const random = seeded(seed);
    const ledger = createLedger({ workers: 1, maxServices: 1, maxEndpoints: 1 });
    ledger.workerStarting(0, 0);
    const { adaptive } = attachLedger(ledger.buffers, 0);
    const values = Array.from({ length: 5_000 }, () => Math.ceil(10 ** (2 + random() * 5)));
    for (const value of values) adaptive.sample(0, value);
    values.sort((a, b) => a - b);
    const counts = new Int32Array(400);
    assert.equal(adaptive.takeSamples(0, counts), values.length);
    for (const percentile of [10, 50, 90, 99]) {
      const expected = values[(values.length * percentile) / 100 - 1] as number;
      const found = quantileUs(counts, values.length, percentile);
      assert.ok(
        Math.abs(found / expected - 1) < 0.0625,
        `p${percentile}: ${found}, not ${expected}; seed ${seed}`,
      );
    }
    assert.equal(adaptive.takeSamples(0, counts), 0, 'each sample is taken once');
  });
});

describe('minRTT', () => {
  test('is measured first, with the limit pinned to minConcurrency', () => {
    const node = new Node();
    assert.ok(node.measuring);
    assert.equal(node.limit, 3);
    const [worker] = node.workers as [GradientController];
    for (let i = 0; i < 3; i++) assert.ok(worker.admit());
    assert.ok(!worker.admit(), 'the fourth is refused');
    assert.equal(node.ledger.readGauge(SLOT, GAUGE.outstanding).overflow, 1);
    for (let i = 0; i < 3; i++) worker.release();
  });

  test('is the percentile of requestCount requests', () => {
    const node = new Node();
    node.requests(49, 10);
    assert.ok(node.measuring);
    node.requests(1, 10);
    assert.ok(!node.measuring);
    const { minRttUs } = node.ledger.readAdaptive(SLOT) ?? { minRttUs: 0 };
    assert.ok(Math.abs(minRttUs / 10_000 - 1) < 0.04, `${minRttUs}`);
  });

  test('what was begun before its window is no sample of it', () => {
    const node = new Node();
    const [worker] = node.workers as [GradientController];
    for (let i = 0; i < 60; i++) worker.sample(500, 2_000);
    assert.ok(node.measuring);
  });

  test('is measured again after the interval and its jitter, and the limit comes back', () => {
    const node = new Node();
    node.requests(50, 10);
    for (let i = 0; i < 20; i++) node.window(10);
    const before = node.limit;
    assert.ok(before > 100, `${before}`);
    // The jitter is half of 15 % here.
    node.nowMs = 1_001 + 500 + 60_000 + 4_400;
    node.requests(1, 10);
    assert.ok(!node.measuring, 'not yet');
    node.nowMs += 200;
    const grown = node.limit;
    node.requests(1, 10);
    assert.ok(node.measuring);
    assert.equal(node.limit, 3);
    node.nowMs += 10;
    node.requests(50, 10);
    assert.ok(!node.measuring);
    assert.ok(node.limit >= grown, `${node.limit} after ${grown}`);
  });

  test('is measured again after five windows at the smallest limit', () => {
    const node = new Node();
    node.requests(50, 1);
    let windows = 0;
    while (!node.measuring) {
      node.window(60);
      windows++;
      assert.ok(windows < 20, 'the service has become slower, and minRTT is still what it was');
    }
    assert.equal(node.limit, 3);
    node.nowMs += 10;
    node.requests(50, 60);
    for (let i = 0; i < 10; i++) node.window(60);
    assert.ok(node.limit > 3, 'with the new minRTT it grows');
  });

  test('leaves the limit alone where minConcurrencyLimit is stated', () => {
    const node = new Node({ ...CONFIG, minLimit: 25 });
    assert.equal(node.limit, 25);
    node.requests(50, 10);
    for (let i = 0; i < 5; i++) node.window(10);
    const before = node.limit;
    node.nowMs += 70_000;
    node.requests(1, 10);
    assert.ok(node.measuring);
    assert.ok(node.limit >= before);
    node.requests(51, 10);
    assert.ok(!node.measuring);
    for (let i = 0; i < 12 && node.limit > 25; i++) node.window(200);
    assert.equal(node.limit, 25, 'the lowest limit');
  });

  test('may be stated, and is not measured then', () => {
    const node = new Node({ ...CONFIG, minRtt: { ...CONFIG.minRtt, fixedMs: 10 } });
    assert.ok(!node.measuring);
    node.window(10);
    assert.ok(node.limit > 3);
    node.nowMs += 120_000;
    node.requests(2, 10);
    assert.ok(!node.measuring);
  });

  test('a machine that has been up for 30 days is as any other', () => {
    const node = new Node(CONFIG, 1, 30 * 86_400_000);
    node.requests(50, 10);
    assert.ok(!node.measuring);
    for (let i = 0; i < 5; i++) node.window(10);
    const grown = node.limit;
    assert.ok(grown > 3);
    node.nowMs += 26 * 86_400_000;
    node.requests(1, 10);
    assert.ok(node.measuring, 'after 26 days without a request it is due');
  });
});

describe('the limit', () => {
  test('grows while latency stays, and shrinks when it rises', () => {
    const node = new Node();
    node.requests(50, 10);
    const grown: number[] = [];
    for (let i = 0; i < 8; i++) {
      node.window(10);
      grown.push(node.limit);
    }
    assert.deepEqual(
      grown,
      [...grown].sort((a, b) => a - b),
    );
    const top = node.limit;
    for (let i = 0; i < 2; i++) node.window(40);
    assert.ok(node.limit < top * 0.7, `${top} → ${node.limit}`);
  });

  test('is the node’s: over four workers no place is given twice', () => {
    const node = new Node(CONFIG, 4);
    const admitted = node.workers.flatMap((worker) => [worker.admit(), worker.admit(), worker.admit()]);
    assert.equal(admitted.filter(Boolean).length, 3);
    node.ledger.giveBack(0, node.nowMs);
    assert.equal(node.ledger.readGauge(SLOT, GAUGE.outstanding).active, 0, 'a dead worker holds nothing');
  });

  test('is found from the samples of all workers together', () => {
    const node = new Node(CONFIG, 4);
    node.requests(50, 10);
    assert.ok(!node.measuring, '12 or 13 of each are 50');
    node.window(10);
    assert.ok(node.limit > 3);
  });

  test('a worker that dies in its turn has it taken back', () => {
    const node = new Node(CONFIG, 2);
    const dead = attachLedger(node.ledger.buffers, 1);
    assert.ok(dead.adaptive.tryTurn(SLOT));
    for (let i = 0; i < 60; i++) node.request(10, 0);
    assert.ok(node.measuring, 'nobody else may');
    node.ledger.giveBack(1, node.nowMs);
    node.request(10, 0);
    assert.ok(!node.measuring);
  });

  test('a slot that another service takes over knows nothing', () => {
    const node = new Node();
    node.requests(50, 10);
    node.ledger.freeService('s', 1);
    attachLedger(node.ledger.buffers, 0).acknowledge(2);
    for (const name of ['a', 'b', 'c', 'd']) node.ledger.allocateService(name);
    assert.equal(node.ledger.readAdaptive(SLOT), null);
  });
});
