// Ejection and return: Envoy's counting, exact limits, one probe, and time that wraps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AVAILABLE,
  attachLedger,
  ejectionLimit,
  FAILED,
  type FailedKind,
  isProbe,
  type Ledger,
  NOT_ADMITTED,
  OUTLIER,
  type OutlierPolicy,
  type WorkerLedger,
} from '../../src/ledger/index.ts';
import { Agent, CELL, go, makeControl, makeLedger, OUTLIER_POLICY } from './kit.ts';

const HOSTS = 3;
const { serverError, gatewayError, localOrigin } = FAILED;

interface Scene {
  readonly ledger: Ledger;
  readonly service: number;
  readonly endpoint: number;
  readonly table: WorkerLedger['endpoints'];
  fail(kind: FailedKind, nowMs?: number, policy?: OutlierPolicy): number;
  succeed(nowMs?: number): void;
}

function makeScene(): Scene {
  const ledger = makeLedger(4);
  const service = ledger.allocateService('cart');
  const endpoint = ledger.endpoints.allocate(service, 'a');
  const table = attachLedger(ledger.buffers, 0).endpoints;
  return {
    ledger,
    service,
    endpoint,
    table,
    fail: (kind, nowMs = 0, policy = OUTLIER_POLICY) =>
      table.reportFailure(endpoint, table.admit(endpoint, nowMs), kind, nowMs, HOSTS, policy),
    succeed: (nowMs = 0) => table.reportSuccess(endpoint, table.admit(endpoint, nowMs), nowMs),
  };
}

test('the fifth 5xx in a row ejects, a success in between starts over', () => {
  const { fail, succeed, table, endpoint, ledger, service } = makeScene();
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 4; count++) assert.equal(fail(serverError), OUTLIER.counted);
    succeed();
  }
  for (let count = 0; count < 4; count++) fail(serverError);
  assert.equal(fail(serverError), OUTLIER.ejected);
  assert.equal(table.admit(endpoint, 29_999), NOT_ADMITTED);
  assert.equal(table.availability(endpoint, 29_999), AVAILABLE.no);
  assert.deepEqual(ledger.readEjections(service), { ejected: 1, ejections: 1, overflow: 0 });
});

test('gateway errors in a row eject on their own threshold and a plain 500 interrupts them', () => {
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 0, consecutiveGatewayErrors: 3 };
  const { fail } = makeScene();
  const outcomes = [gatewayError, gatewayError, serverError, gatewayError, gatewayError, gatewayError].map(
    (kind) => fail(kind, 0, policy),
  );
  assert.deepEqual(outcomes, [...Array(5).fill(OUTLIER.counted), OUTLIER.ejected]);
});

test('local-origin failures count as 5xx and gateway errors unless they are split', () => {
  const merged = makeScene();
  merged.fail(serverError);
  for (let count = 0; count < 3; count++) merged.fail(localOrigin);
  assert.equal(merged.fail(localOrigin), OUTLIER.ejected);
  const policy = { ...OUTLIER_POLICY, splitExternalLocalOriginErrors: true };
  const split = makeScene();
  split.fail(serverError, 0, policy);
  for (let count = 0; count < 4; count++) assert.equal(split.fail(localOrigin, 0, policy), OUTLIER.counted);
  assert.equal(split.fail(gatewayError, 0, policy), OUTLIER.counted, 'an answer: the endpoint was reached');
  for (let count = 0; count < 4; count++) assert.equal(split.fail(localOrigin, 0, policy), OUTLIER.counted);
  assert.equal(split.fail(localOrigin, 0, policy), OUTLIER.ejected);
});

test('thresholds of 0 switch the detectors off', () => {
  const policy = {
    ...OUTLIER_POLICY,
    consecutive5xxErrors: 0,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOriginFailures: 0,
  };
  const { fail } = makeScene();
  for (let count = 0; count < 100; count++) assert.equal(fail(localOrigin, 0, policy), OUTLIER.counted);
});

test('after the ejection one request probes; its success lets the others in and forgets the failures', () => {
  const { fail, table, endpoint, ledger, service } = makeScene();
  for (let count = 0; count < 5; count++) fail(serverError);
  assert.equal(table.availability(endpoint, 30_000), AVAILABLE.probe);
  const probe = table.admit(endpoint, 30_000);
  assert.equal(isProbe(probe), true);
  assert.equal(table.admit(endpoint, 30_000), NOT_ADMITTED);
  assert.equal(ledger.endpoints.read(endpoint, 30_000).state, 'probing');
  table.reportSuccess(endpoint, probe, 30_010);
  assert.equal(isProbe(table.admit(endpoint, 30_010)), false);
  assert.equal(ledger.readEjections(service).ejected, 0);
  for (let count = 0; count < 4; count++) assert.equal(fail(serverError, 30_020), OUTLIER.counted);
});

test('a failed probe ejects for longer each time, up to the maximum, and health shortens it again', () => {
  const { fail, succeed, ledger, endpoint } = makeScene();
  for (let count = 0; count < 5; count++) fail(serverError);
  let nowMs = 0;
  const durations: number[] = [];
  for (let count = 0; count < 12; count++) {
    durations.push(ledger.endpoints.read(endpoint, nowMs).ejectedForMs / 1_000);
    nowMs += durations[count] * 1_000;
    if (count < 11) assert.equal(fail(serverError, nowMs), OUTLIER.ejected);
  }
  assert.deepEqual(durations, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
  succeed(nowMs);
  ledger.endpoints.sweep(endpoint, nowMs + 9_999, 10_000);
  assert.equal(ledger.endpoints.read(endpoint, nowMs).ejectionMultiplier, 10, 'not a whole interval yet');
  for (let interval = 1; interval <= 3; interval++)
    ledger.endpoints.sweep(endpoint, nowMs + interval * 10_000, 10_000);
  assert.equal(ledger.endpoints.read(endpoint, nowMs).ejectionMultiplier, 7);
});

test('an abandoned probe, or the probe of a worker that has ended, is free for the next request', () => {
  const { fail, table, endpoint, ledger } = makeScene();
  for (let count = 0; count < 5; count++) fail(serverError);
  table.abandon(endpoint, table.admit(endpoint, 30_000));
  const second = table.admit(endpoint, 30_000);
  assert.equal(isProbe(second), true);
  assert.equal(ledger.giveBack(0, 40_000), true);
  const other = attachLedger(ledger.buffers, 1).endpoints;
  assert.equal(isProbe(other.admit(endpoint, 40_000)), true);
});

test('results of requests that started before an ejection change nothing after it', () => {
  const { fail, table, endpoint, ledger } = makeScene();
  const early = Array.from({ length: 20 }, () => table.admit(endpoint, 0));
  for (let count = 0; count < 5; count++) fail(serverError);
  const report = (nowMs: number): number =>
    table.reportFailure(endpoint, early.pop()!, serverError, nowMs, HOSTS, OUTLIER_POLICY);
  for (let count = 0; count < 8; count++) assert.equal(report(1), OUTLIER.ignored);
  table.reportSuccess(endpoint, early.pop()!, 1);
  assert.equal(table.admit(endpoint, 1), NOT_ADMITTED);
  table.reportSuccess(endpoint, table.admit(endpoint, 30_000), 30_000);
  for (let count = 0; count < 8; count++) assert.equal(report(30_001), OUTLIER.ignored);
  assert.equal(ledger.endpoints.read(endpoint, 30_001).consecutive5xx, 0);
  for (let count = 0; count < 4; count++) fail(serverError, 30_002);
  table.reportSuccess(endpoint, early.pop()!, 30_002);
  assert.equal(fail(serverError, 30_002), OUTLIER.ejected);
});

test('the limit is a percentage or a count, whichever allows more, and never more than all hosts', () => {
  const limit = (hosts: number, maxEjectionPercent: number, maxEjectionCount: number): number =>
    ejectionLimit(hosts, { ...OUTLIER_POLICY, maxEjectionPercent, maxEjectionCount });
  assert.equal(limit(3, 10, 0), 0, "Envoy's default ejects nobody of 3");
  assert.equal(limit(3, 10, 1), 1);
  assert.equal(limit(3, 50, 1), 1);
  assert.equal(limit(10, 10, 0), 1);
  assert.equal(limit(19, 10, 0), 1);
  assert.equal(limit(20, 10, 0), 2);
  assert.equal(limit(2, 10, 5), 2);
  assert.equal(limit(3, 100, 0), 3);
});

test('a failure beyond the limit is counted as overflow and asks again at the next', () => {
  const { fail, ledger, service, table } = makeScene();
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1 };
  const second = ledger.endpoints.allocate(service, 'b');
  assert.equal(fail(serverError, 0, policy), OUTLIER.ejected);
  const failSecond = (): number =>
    table.reportFailure(second, table.admit(second, 0), serverError, 0, HOSTS, policy);
  assert.equal(failSecond(), OUTLIER.overflow);
  ledger.endpoints.free(service, 'a', 1);
  assert.equal(failSecond(), OUTLIER.ejected);
  assert.deepEqual(ledger.readEjections(service), { ejected: 1, ejections: 2, overflow: 1 });
});

test('a failing active health check closes an endpoint whatever its ejection state, and may end an ejection', () => {
  const { fail, table, endpoint, ledger, service } = makeScene();
  ledger.endpoints.setHealth(endpoint, false);
  assert.equal(table.admit(endpoint, 0), NOT_ADMITTED);
  assert.equal(ledger.endpoints.read(endpoint, 0).passesHealthCheck, false);
  ledger.endpoints.setHealth(endpoint, true);
  for (let count = 0; count < 5; count++) fail(serverError);
  assert.equal(ledger.endpoints.uneject(endpoint, 100), true);
  assert.equal(ledger.endpoints.uneject(endpoint, 100), false);
  assert.equal(ledger.readEjections(service).ejected, 0);
  assert.equal(fail(serverError, 100), OUTLIER.counted);
  ledger.endpoints.setHealth(endpoint, false);
  const panic = table.admitInPanic(endpoint);
  assert.equal(
    table.reportFailure(endpoint, panic, serverError, 100, HOSTS, OUTLIER_POLICY),
    OUTLIER.counted,
  );
});

test('ejection times are compared safely across the wrap of 32-bit milliseconds', () => {
  for (const startMs of [0, 2 ** 31 - 10_000, 2 ** 32 - 10_000, 5 * 2 ** 32 + 2 ** 31 - 1]) {
    const { fail, table, endpoint, ledger } = makeScene();
    for (let count = 0; count < 5; count++) fail(serverError, startMs);
    assert.equal(table.admit(endpoint, startMs + 29_999.5), NOT_ADMITTED, `from ${startMs}`);
    assert.equal(ledger.endpoints.read(endpoint, startMs + 10_000).ejectedForMs, 20_000);
    assert.equal(isProbe(table.admit(endpoint, startMs + 30_001)), true, `from ${startMs}`);
  }
});

test('an ejection that nobody probes for months is still over, thanks to the sweep', () => {
  const { fail, table, endpoint, ledger } = makeScene();
  for (let count = 0; count < 5; count++) fail(serverError);
  const monthsMs = 90 * 86_400_000;
  for (let nowMs = 0; nowMs < monthsMs; nowMs += 3_600_000) ledger.endpoints.sweep(endpoint, nowMs, 10_000);
  assert.equal(isProbe(table.admit(endpoint, monthsMs)), true);
});

test('a heartbeat age is right across the wrap', () => {
  const ledger = makeLedger(1);
  attachLedger(ledger.buffers, 0).beat(2 ** 31 - 100);
  assert.equal(ledger.heartbeatAgeMs(0, 2 ** 31 + 150), 250);
});

test('four threads that eject at once never pass the limit', async () => {
  for (let round = 0; round < 4; round++) {
    const ledger = makeLedger(4);
    const control = makeControl();
    const service = ledger.allocateService('cart');
    const endpoints = Array.from({ length: 12 }, (_, key) => ledger.endpoints.allocate(service, `${key}`));
    const data = { job: 'eject', service, endpoints, limit: 0, rounds: 600 };
    const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
    await go(control, 4);
    await Promise.all(agents.map(({ ended }) => ended));
    const ejections = control.subarray(CELL.tally, CELL.tally + 4).reduce((sum, tally) => sum + tally, 0);
    assert.equal(ejections, 6, '50 % of 12 fail for good');
    assert.equal(ledger.readEjections(service).ejected, 6);
    const states = endpoints.map((endpoint) => ledger.endpoints.read(endpoint, 0).state);
    assert.equal(states.filter((state) => state === 'ejected').length, 6);
  }
});

test('of all threads one probes an endpoint at a time, and the number of ejected ones stays true', async () => {
  const ledger = makeLedger(4);
  const control = makeControl();
  const service = ledger.allocateService('cart');
  const endpoints = ['a', 'b', 'c'].map((key) => ledger.endpoints.allocate(service, key));
  const data = { job: 'probe', service, endpoints, rounds: 20_000 };
  const agents = [0, 1, 2, 3].map((worker) => new Agent(ledger, control, { ...data, worker }));
  await go(control, 4);
  await Promise.all(agents.map(({ ended }) => ended));
  assert.equal(control[CELL.insideMax], 0, 'probes of one endpoint that overlapped');
  assert.ok(control.subarray(CELL.tally, CELL.tally + 4).some((tally) => tally > 0));
  const states = endpoints.map((endpoint) => ledger.endpoints.read(endpoint, 0).state);
  assert.equal(ledger.readEjections(service).ejected, states.filter((state) => state !== 'healthy').length);
});
