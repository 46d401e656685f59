// What detectors have in common: enforcing percentages, limits, findings; the results that interval
// detectors are given; degraded endpoints and those that ask for no more requests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AVAILABLE,
  attachLedger,
  createLedger,
  DETECTOR,
  ejectionLimit,
  FAILED,
  type Ledger,
  NOT_ADMITTED,
  OUTLIER,
  RESULT,
} from '../../src/ledger/index.ts';
import { Agent, CELL, go, makeControl, makeLedger, OUTLIER_POLICY, reached, seeded } from './kit.ts';

const { serverError, gatewayError, localOrigin } = FAILED;
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];

function makeScene(hosts = 10, random: () => number = () => 0) {
  const ledger = createLedger({ workers: 2, maxServices: 4, maxEndpoints: 32 }, undefined, random);
  const service = ledger.allocateService('cart');
  const endpoints = KEYS.slice(0, hosts).map((key) => ledger.endpoints.allocate(service, key));
  const table = attachLedger(ledger.buffers, 0, undefined, random).endpoints;
  const fail = (endpoint: number, kind: FailedOf, policy = OUTLIER_POLICY, nowMs = 0): number =>
    table.reportFailure(endpoint, table.admit(endpoint, nowMs), kind, nowMs, hosts, policy);
  const detections = (): Record<string, [number, number]> =>
    Object.fromEntries(
      ledger
        .readDetections(service)
        .filter(({ detected }) => detected > 0)
        .map(({ detector, detected, enforced }) => [detector, [detected, enforced]]),
    );
  return { ledger, service, endpoints, table, fail, detections };
}
type FailedOf = (typeof FAILED)[keyof typeof FAILED];

test('each ejection says which detector, what it saw and where its threshold is', () => {
  const { ledger, endpoints, fail, detections } = makeScene();
  const [a, b, c, d] = endpoints;
  const policy = {
    ...OUTLIER_POLICY,
    consecutive5xxErrors: 4,
    consecutiveGatewayErrors: 2,
    consecutiveLocalOriginFailures: 3,
    splitExternalLocalOriginErrors: true,
  };
  for (let count = 0; count < 4; count++) fail(a, serverError, policy);
  for (let count = 0; count < 2; count++) fail(b, gatewayError, policy);
  for (let count = 0; count < 3; count++) fail(c, localOrigin, policy);
  ledger.endpoints.detected(d, 0, 10, policy, DETECTOR.successRate, 40, 52.5);
  assert.deepEqual(
    endpoints.slice(0, 4).map((endpoint) => ledger.endpoints.read(endpoint, 0).finding),
    [
      { detector: 'CONSECUTIVE_5XX', observed: 4, threshold: 4 },
      { detector: 'CONSECUTIVE_GATEWAY_FAILURE', observed: 2, threshold: 2 },
      { detector: 'CONSECUTIVE_LOCAL_ORIGIN_FAILURE', observed: 3, threshold: 3 },
      { detector: 'SUCCESS_RATE', observed: 40, threshold: 52.5 },
    ],
  );
  fail(a, serverError, policy, 40_000);
  assert.equal(ledger.endpoints.read(a, 40_000).finding.detector, 'PROBE');
  assert.deepEqual(detections(), {
    CONSECUTIVE_5XX: [1, 1],
    CONSECUTIVE_GATEWAY_FAILURE: [1, 1],
    SUCCESS_RATE: [1, 1],
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE: [1, 1],
    PROBE: [1, 1],
  });
});

test('a detector enforced at 0 % counts, ejects nobody, and begins to count anew', () => {
  const { ledger, service, endpoints, fail, detections } = makeScene();
  const policy = { ...OUTLIER_POLICY, enforcingConsecutive5xx: 0 };
  const [a] = endpoints;
  const outcomes = Array.from({ length: 11 }, () => fail(a, serverError, policy));
  assert.deepEqual(
    outcomes.map((outcome) => outcome === OUTLIER.unenforced),
    Array.from({ length: 11 }, (_, i) => i === 4 || i === 9),
  );
  assert.deepEqual(detections(), { CONSECUTIVE_5XX: [2, 0] });
  assert.equal(ledger.readEjections(service).ejections, 0);
  assert.equal(ledger.endpoints.read(a, 0).unenforced, 2);
  assert.equal(ledger.endpoints.read(a, 0).state, 'healthy');
});

test('a gateway error that its own detector lets pass may still eject as a 5xx', () => {
  const { fail, endpoints, detections } = makeScene();
  const policy = { ...OUTLIER_POLICY, enforcingConsecutiveGatewayFailure: 0 };
  for (let count = 0; count < 4; count++) fail(endpoints[0], gatewayError, policy);
  assert.equal(fail(endpoints[0], gatewayError, policy), OUTLIER.ejected);
  assert.deepEqual(detections(), { CONSECUTIVE_5XX: [1, 1], CONSECUTIVE_GATEWAY_FAILURE: [1, 0] });
});

test('enforcing 30 of 100 ejects three in ten', () => {
  const seed = 20_261_121;
  const random = seeded(seed);
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1, enforcingConsecutive5xx: 30 };
  let ejected = 0;
  for (let round = 0; round < 300; round++) {
    const { fail, endpoints } = makeScene(10, random);
    if (fail(endpoints[0], serverError, policy) === OUTLIER.ejected) ejected++;
  }
  // 90 expected, deviation 7.9.
  assert.ok(ejected > 58 && ejected < 122, `${ejected} of 300, seed ${seed}`);
});

test('what the limit forbids is an overflow, enforced or not', () => {
  const { ledger, service, endpoints, fail } = makeScene(3);
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1 };
  assert.equal(fail(endpoints[0], serverError, policy), OUTLIER.ejected);
  const unenforced = { ...policy, enforcingConsecutive5xx: 0 };
  assert.equal(fail(endpoints[1], serverError, unenforced), OUTLIER.overflow);
  assert.deepEqual(ledger.readEjections(service), { ejected: 1, ejections: 1, overflow: 1 });
});

test('ejections end up to maxEjectionTimeJitter later, by chance', () => {
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1, maxEjectionJitterMs: 5_000 };
  for (const [random, expected] of [
    [0, 30_000],
    [0.5, 32_500],
    [0.9999, 35_000],
  ] as const) {
    const { ledger, endpoints, fail } = makeScene(10, () => random);
    fail(endpoints[0], serverError, policy);
    assert.equal(ledger.endpoints.read(endpoints[0], 0).ejectedForMs, expected);
  }
});

test('the floor of healthy endpoints holds against ejections, with those that fail active checks counted', () => {
  assert.equal(ejectionLimit(10, { ...OUTLIER_POLICY, minHealthPercent: 70 }), 3);
  assert.equal(ejectionLimit(10, { ...OUTLIER_POLICY, minHealthPercent: 65 }), 3);
  assert.equal(ejectionLimit(10, { ...OUTLIER_POLICY, minHealthPercent: 70 }, 2), 1);
  assert.equal(ejectionLimit(10, { ...OUTLIER_POLICY, minHealthPercent: 100 }), 0);
  const policy = {
    ...OUTLIER_POLICY,
    consecutive5xxErrors: 1,
    maxEjectionPercent: 100,
    minHealthPercent: 70,
  };
  const { ledger, service, endpoints, fail, table } = makeScene();
  const [a, b, c, d, e] = endpoints;
  ledger.endpoints.setHealth(a, false);
  ledger.endpoints.setHealth(a, false);
  table.failHealth(b);
  assert.equal(fail(c, serverError, policy), OUTLIER.ejected);
  assert.equal(fail(d, serverError, policy), OUTLIER.overflow, '7 of 10 are left');
  ledger.endpoints.setHealth(a, true);
  assert.equal(fail(d, serverError, policy), OUTLIER.ejected);
  assert.equal(fail(e, serverError, policy), OUTLIER.overflow);
  assert.equal(ledger.endpoints.recountHealthy(service), 7);
});

test('an endpoint that is ejected and fails its checks is out once', () => {
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1, minHealthPercent: 50 };
  const { ledger, service, endpoints, fail } = makeScene();
  const out = endpoints.slice(0, 3);
  for (const endpoint of out) fail(endpoint, serverError, policy);
  for (const endpoint of out) ledger.endpoints.setHealth(endpoint, false);
  assert.equal(ledger.endpoints.recountHealthy(service), 7);
  assert.equal(fail(endpoints[3], serverError, policy), OUTLIER.ejected);
  assert.equal(fail(endpoints[4], serverError, policy), OUTLIER.ejected);
  assert.equal(fail(endpoints[5], serverError, policy), OUTLIER.overflow);
  ledger.endpoints.free(service, 'a', 1);
  assert.equal(ledger.endpoints.recountHealthy(service), 5);
});

test('a degraded endpoint is told apart, takes requests, and may be ejected', () => {
  const { ledger, endpoints, table, fail } = makeScene();
  const [a] = endpoints;
  ledger.endpoints.setDegraded(a, true);
  assert.equal(table.availability(a, 0), AVAILABLE.degraded);
  assert.notEqual(table.admit(a, 0), NOT_ADMITTED);
  assert.equal(ledger.endpoints.read(a, 0).degraded, true);
  fail(a, serverError, { ...OUTLIER_POLICY, consecutive5xxErrors: 1 });
  assert.equal(table.availability(a, 0), AVAILABLE.no);
  table.reportSuccess(a, table.admit(a, 30_000), 30_000);
  assert.equal(table.availability(a, 30_000), AVAILABLE.degraded, 'an ejection says nothing of it');
  ledger.endpoints.setHealth(a, false);
  assert.equal(table.availability(a, 30_000), AVAILABLE.no);
  ledger.endpoints.setHealth(a, true);
  ledger.endpoints.setDegraded(a, false);
  assert.equal(table.availability(a, 30_000), AVAILABLE.yes);
});

test('an endpoint that asks for no more requests gets none until its check passes', () => {
  const { ledger, endpoints, table } = makeScene();
  const [a] = endpoints;
  assert.equal(ledger.endpoints.passesHealth(a), true);
  table.failHealth(a);
  assert.equal(table.admit(a, 0), NOT_ADMITTED);
  assert.equal(ledger.endpoints.passesHealth(a), false);
  ledger.endpoints.setHealth(a, true);
  assert.notEqual(table.admit(a, 0), NOT_ADMITTED);
});

test('results are taken once, by kind, of all workers, across the wrap of a cell', () => {
  const { ledger, endpoints, table } = makeScene();
  const other = attachLedger(ledger.buffers, 1).endpoints;
  const [a, b] = endpoints;
  for (let count = 0; count < 3; count++) table.count(a, RESULT.success);
  for (let count = 0; count < 2; count++) other.count(a, RESULT.gatewayError);
  other.count(b, RESULT.localOrigin);
  assert.deepEqual([...ledger.endpoints.takeResults(a)], [3, 0, 2, 0]);
  assert.deepEqual([...ledger.endpoints.takeResults(a)], [0, 0, 0, 0]);
  assert.deepEqual([...ledger.endpoints.takeResults(b)], [0, 0, 0, 1]);
  const memory = new Int32Array(ledger.buffers.memory);
  const cell = memory.lastIndexOf(3);
  memory[cell] = -2;
  ledger.endpoints.takeResults(a);
  for (let count = 0; count < 5; count++) table.count(a, RESULT.success);
  assert.deepEqual([...ledger.endpoints.takeResults(a)], [5, 0, 0, 0]);
});

test('four threads that count while the supervisor takes: each result is taken once', async () => {
  const { ledger, endpoints, control } = threads();
  const rounds = 400_000;
  const agents = [0, 1, 2, 3].map((worker) => agent(ledger, control, endpoints, worker, rounds));
  await go(control, 4);
  const ended = Promise.all(agents.map((each) => each.ended)).then(() => true);
  const taken = endpoints.map(() => [0, 0, 0, 0]);
  let looks = 0;
  for (let over = false; !over; looks++) {
    over = await Promise.race([ended, new Promise<false>((resolve) => setImmediate(resolve, false))]);
    take(ledger, endpoints, taken);
  }
  assert.ok(looks > 2, `${looks} looks`);
  assert.deepEqual(taken, expected(endpoints.length, 4 * rounds));
});

test('a thread that is terminated while it counts loses and adds nothing; its successor goes on', async () => {
  const { ledger, endpoints, control } = threads();
  let counted = 0;
  for (let life = 0; life < 4; life++) {
    const victim = agent(ledger, control, endpoints, 0, 0);
    if (life === 0) await go(control, 1);
    await reached(control, CELL.ready, life + 1);
    while (Atomics.load(control, CELL.tally) < counted + 1_000)
      await new Promise((resolve) => setImmediate(resolve));
    await victim.terminate();
    ledger.giveBack(0, 0);
    counted = Atomics.load(control, CELL.tally);
  }
  const taken = endpoints.map(() => [0, 0, 0, 0]);
  take(ledger, endpoints, taken);
  const sum = taken.flat().reduce((total, count) => total + count, 0);
  // A thread may have counted a result that it did not live to tell.
  assert.ok(sum >= counted && sum <= counted + 4, `${sum} results, ${counted} told`);
});

function threads() {
  const ledger = makeLedger(4);
  const service = ledger.allocateService('cart');
  const endpoints = KEYS.slice(0, 5).map((key) => ledger.endpoints.allocate(service, key));
  return { ledger, endpoints, control: makeControl() };
}

function agent(
  ledger: Ledger,
  control: ReturnType<typeof makeControl>,
  endpoints: readonly number[],
  worker: number,
  rounds: number,
): Agent {
  return new Agent(ledger, control, { job: 'results', endpoints, worker, rounds });
}

function take(ledger: Ledger, endpoints: readonly number[], into: number[][]): void {
  endpoints.forEach((endpoint, i) => {
    ledger.endpoints.takeResults(endpoint).forEach((count, kind) => {
      into[i][kind] += count;
    });
  });
}

/** By endpoint and kind, of `total` results in turn. */
function expected(endpoints: number, total: number): number[][] {
  return Array.from({ length: endpoints }, () => Array(4).fill(total / endpoints / 4));
}
