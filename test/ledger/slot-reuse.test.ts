// A freed slot is given out again only when nobody can use it any more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachLedger, FAILED, GAUGE, NOT_ADMITTED } from '../../src/ledger/index.ts';
import { makeLedger, OUTLIER_POLICY } from './kit.ts';

const SHAPE = { services: 2, endpoints: 2 };

test('a key keeps its slot and different keys have different slots', () => {
  const ledger = makeLedger(1, SHAPE);
  const cart = ledger.allocateService('cart');
  const stock = ledger.allocateService('stock');
  assert.notEqual(cart, stock);
  assert.equal(ledger.allocateService('cart'), cart);
  assert.notEqual(ledger.endpoints.allocate(cart, '::1'), ledger.endpoints.allocate(stock, '::1'));
});

test('a full table is refused with its limit and the cure', () => {
  const ledger = makeLedger(1, SHAPE);
  ledger.allocateService('a');
  ledger.allocateService('b');
  assert.throws(() => ledger.allocateService('c'), /2 in use and 0 draining of 2; configure fewer services/);
  ledger.endpoints.allocate(0, 'a');
  ledger.endpoints.allocate(0, 'b');
  assert.throws(() => ledger.endpoints.allocate(0, 'c'), /raise the limit of endpoints/);
});

test('a freed slot waits until every live worker has acknowledged the snapshot without it', () => {
  const ledger = makeLedger(3, SHAPE);
  const [first, second] = [0, 1].map((worker) => {
    ledger.workerStarting(worker, 0);
    return attachLedger(ledger.buffers, worker);
  });
  const freed = ledger.allocateService('a');
  ledger.allocateService('b');
  ledger.freeService('a', 7);
  first.acknowledge(7);
  second.acknowledge(6);
  assert.throws(() => ledger.allocateService('c'), /1 in use and 1 draining/);
  assert.deepEqual(ledger.serviceUsage(), { capacity: 2, used: 1, draining: 1 });
  second.acknowledge(8);
  assert.equal(ledger.allocateService('c'), freed);
});

test('a worker that has ended is not waited for, one that is starting is', () => {
  const ledger = makeLedger(2, SHAPE);
  ledger.workerStarting(0, 0);
  const freed = ledger.allocateService('a');
  ledger.allocateService('b');
  ledger.freeService('a', 2);
  assert.throws(() => ledger.allocateService('c'));
  ledger.giveBack(0, 0);
  ledger.workerStarting(0, 0);
  assert.throws(() => ledger.allocateService('c'), 'it may have started with the old snapshot');
  ledger.giveBack(0, 0);
  assert.equal(ledger.allocateService('c'), freed);
});

test('a freed slot waits until its gauges read 0, and starts from 0', () => {
  const ledger = makeLedger(1, SHAPE);
  ledger.workerStarting(0, 0);
  const worker = attachLedger(ledger.buffers, 0);
  const service = ledger.allocateService('a');
  ledger.allocateService('b');
  const endpoint = ledger.endpoints.allocate(service, 'x');
  ledger.endpoints.allocate(service, 'y');
  worker.gauges.acquire(service, GAUGE.requests, 1);
  worker.gauges.acquire(service, GAUGE.requests, 1);
  worker.endpoints.acquire(endpoint, 9);
  ledger.endpoints.free(service, 'x', 2);
  ledger.freeService('a', 2);
  worker.acknowledge(2);
  assert.throws(() => ledger.allocateService('c'));
  assert.throws(() => ledger.endpoints.allocate(service, 'z'));
  worker.gauges.release(service, GAUGE.requests);
  worker.endpoints.release(endpoint);
  assert.equal(ledger.allocateService('c'), service);
  assert.equal(ledger.endpoints.allocate(service, 'z'), endpoint);
  assert.deepEqual(ledger.readGauge(service, GAUGE.requests), {
    active: 0,
    highWater: 0,
    opened: 0,
    overflow: 0,
  });
});

test('a key that returns while its slot drains gets it back, with what is in flight', () => {
  const ledger = makeLedger(1, SHAPE);
  ledger.workerStarting(0, 0);
  const worker = attachLedger(ledger.buffers, 0);
  const service = ledger.allocateService('a');
  const endpoint = ledger.endpoints.allocate(service, 'x');
  worker.endpoints.acquire(endpoint, 9);
  ledger.endpoints.free(service, 'x', 2);
  ledger.freeService('a', 2);
  assert.equal(ledger.allocateService('a'), service);
  assert.equal(ledger.endpoints.allocate(service, 'x'), endpoint);
  assert.equal(ledger.endpoints.read(endpoint, 0).active, 1);
});

test('a removed endpoint drops out of the ejected ones and its old requests say nothing of its successor', () => {
  const ledger = makeLedger(1, SHAPE);
  const worker = attachLedger(ledger.buffers, 0);
  const service = ledger.allocateService('a');
  const endpoint = ledger.endpoints.allocate(service, 'x');
  const policy = { ...OUTLIER_POLICY, consecutive5xxErrors: 1 };
  const report = (ticket: number) =>
    worker.endpoints.reportFailure(endpoint, ticket, FAILED.serverError, 0, 2, policy);
  const ticket = worker.endpoints.admit(endpoint, 0);
  report(ticket);
  assert.equal(ledger.readEjections(service).ejected, 1);
  ledger.endpoints.setHealth(endpoint, false);
  ledger.endpoints.free(service, 'x', 1);
  assert.equal(ledger.readEjections(service).ejected, 0);
  report(worker.endpoints.admitInPanic(endpoint));
  assert.equal(ledger.readEjections(service).ejected, 0, 'nor does a removed endpoint become ejected');
  const before = worker.endpoints.admitInPanic(endpoint);
  assert.equal(ledger.endpoints.allocate(service, 'x'), endpoint);
  report(before);
  report(ticket);
  assert.equal(ledger.readEjections(service).ejected, 0);
  assert.notEqual(worker.endpoints.admit(endpoint, 0), NOT_ADMITTED);
});
