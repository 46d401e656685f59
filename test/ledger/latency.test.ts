/** What the ledger keeps of an endpoint's latency, for all workers, and of how long it has been in use. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../src/base/index.ts';
import { attachLedger, createLedger, FAILED, type Ledger } from '../../src/ledger/index.ts';
import { OUTLIER_POLICY } from './kit.ts';

const DECAY_MS = 10_000;
const INITIAL_MS = 30;
const DAY_MS = 86_400_000;

function made(clock = new FakeClock()): { ledger: Ledger; slot: number; service: number; clock: FakeClock } {
  const ledger = createLedger({ workers: 2, maxServices: 1, maxEndpoints: 2 }, clock);
  ledger.workerStarting(0, 0);
  ledger.workerStarting(1, 0);
  const service = ledger.allocateService('s');
  return { ledger, slot: ledger.endpoints.allocate(service, 'a'), service, clock };
}

const about = (found: number, expected: number): void => {
  assert.ok(Math.abs(found - expected) <= expected * 1e-4, `${found}, expected ${expected}`);
};

test('until the first answer latency is what is assumed; then a peak counts at once, for every worker', () => {
  const { ledger, slot } = made();
  const { endpoints: mine } = attachLedger(ledger.buffers, 0);
  const { endpoints: other } = attachLedger(ledger.buffers, 1);
  assert.equal(mine.latencyMs(slot, 0, DECAY_MS, INITIAL_MS), INITIAL_MS);
  mine.observeLatency(slot, 2, 100, DECAY_MS);
  about(other.latencyMs(slot, 100, DECAY_MS, INITIAL_MS), 2);
  other.observeLatency(slot, 500, 101, DECAY_MS);
  about(mine.latencyMs(slot, 101, DECAY_MS, INITIAL_MS), 500);
  assert.equal(Math.round(ledger.endpoints.read(slot, 101).latencyMs ?? 0), 500);
});

test('a peak falls to 1/e in the decay time while nothing is heard', () => {
  const { ledger, slot } = made();
  const { endpoints } = attachLedger(ledger.buffers, 0);
  endpoints.observeLatency(slot, 500, 1_000, DECAY_MS);
  about(endpoints.latencyMs(slot, 11_000, DECAY_MS, INITIAL_MS), 500 / Math.E);
  about(endpoints.latencyMs(slot, 31_000, DECAY_MS, INITIAL_MS), 500 / Math.E ** 3);
});

test('after a peak quick answers bring it down by time, not by their number', () => {
  const { ledger, slot } = made();
  const { endpoints } = attachLedger(ledger.buffers, 0);
  endpoints.observeLatency(slot, 500, 0, DECAY_MS);
  // A hundred answers in each of 10,000 ms: small steps must not be lost to rounding.
  for (let nowMs = 1; nowMs <= 10_000; nowMs++)
    for (let i = 0; i < 100; i++) endpoints.observeLatency(slot, 1, nowMs, DECAY_MS);
  const theory = 1 + (500 - 1) / Math.E;
  const found = endpoints.latencyMs(slot, 10_000, DECAY_MS, INITIAL_MS);
  assert.ok(Math.abs(found - theory) < 0.01 * theory, `${found}, theory ${theory}`);
});

test('the time in use begins with the endpoint, with its health, and with the end of its ejection', () => {
  const { ledger, slot, service, clock } = made();
  const { endpoints } = attachLedger(ledger.buffers, 0);
  const start = clock.nowMs();
  assert.equal(endpoints.inUseForMs(slot, start + 1_500), 1_500);
  // What says that it is well when it was says nothing new.
  clock.advance(1_000);
  ledger.endpoints.setHealth(slot, true);
  assert.equal(endpoints.inUseForMs(slot, start + 1_500), 1_500);
  ledger.endpoints.setHealth(slot, false);
  clock.advance(4_000);
  ledger.endpoints.setHealth(slot, true);
  assert.equal(endpoints.inUseForMs(slot, clock.nowMs() + 10), 10);

  const policy = {
    ...OUTLIER_POLICY,
    consecutive5xxErrors: 1,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOriginFailures: 0,
    splitExternalLocalOriginErrors: true,
    baseEjectionMs: 1_000,
    maxEjectionMs: 1_000,
    maxEjectionPercent: 100,
    maxEjectionCount: 1,
  };
  const nowMs = clock.nowMs() + 100;
  endpoints.reportFailure(slot, endpoints.admit(slot, nowMs), FAILED.serverError, nowMs, 1, policy);
  const probe = endpoints.admit(slot, nowMs + 2_000);
  endpoints.reportSuccess(slot, probe, nowMs + 2_000);
  assert.equal(endpoints.inUseForMs(slot, nowMs + 2_300), 300);
  assert.equal(service, 0);
});

test('after a day it is long ago, and stays so when 32 bits of milliseconds begin anew', () => {
  const { ledger, slot, clock } = made();
  const { endpoints } = attachLedger(ledger.buffers, 0);
  const start = clock.nowMs();
  assert.equal(endpoints.inUseForMs(slot, start + DAY_MS), DAY_MS);
  assert.equal(endpoints.inUseForMs(slot, start + DAY_MS + 1), Number.POSITIVE_INFINITY);
  assert.equal(endpoints.inUseForMs(slot, start + 2 ** 32 + 5), Number.POSITIVE_INFINITY);
});
