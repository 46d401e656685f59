/**
 * A whole data plane in the test's own thread: real sockets on ports the system gives, the real ledger, and
 * everything recorded. `withProxy` fails the test when the proxy holds on to anything at the end: an active
 * request, a client's connection, a count in the ledger, an armed timer.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { Clock } from '../../src/base/index.ts';
import type { FromWorker, ToWorker } from '../../src/channel/index.ts';
import {
  buildSnapshot,
  diffSnapshots,
  encodeSecrets,
  NO_SECRETS,
  type SecretSet,
  type SlotOf,
  type Snapshot,
} from '../../src/config/index.ts';
import { formatFault, loadConfig } from '../../src/config/load/index.ts';
import { createLedger, createMetricCells, GAUGE, type Ledger } from '../../src/ledger/index.ts';
import {
  COUNTER,
  type Decision,
  LIMIT_COUNTER,
  LISTENER_COUNTER,
  limitOwner,
  METRIC_CELLS_CAPACITY,
  type SpanRecord,
} from '../../src/telemetry/index.ts';
import { DataPlane } from '../../src/worker.ts';

export interface TestProxy {
  /** Port of each listener by its name. */
  readonly ports: ReadonlyMap<string, number>;
  /** Port of the first listener. */
  readonly port: number;
  readonly decisions: Decision[];
  readonly spans: SpanRecord[];
  readonly ledger: Ledger;
  readonly snapshot: Snapshot;
  /** Replaces the configuration; resolves when it is in force. */
  reload(yaml: string, secrets?: SecretSet): Promise<void>;
  rotate(secrets: SecretSet): void;
  /** A counter of a service, summed. */
  counter(service: string, name: keyof typeof COUNTER): number;
  /** A counter of a listener. */
  listenerCounter(listener: string, name: keyof typeof LISTENER_COUNTER): number;
  /** A counter of a rate limit, by its id. */
  limitCounter(id: string, name: keyof typeof LIMIT_COUNTER): number;
  /** What the ledger holds of a service now. */
  gauge(service: string, name: keyof typeof GAUGE): number;
  /** The ledger's slot of a service's endpoint. */
  endpointSlot(service: string, port: number): number;
  /** Waits until spans and decisions of ended requests have arrived. */
  recorded(): Promise<void>;
  /** The only decision there is, or the one for this request. */
  decision(requestId?: string): Promise<Decision>;
  /** Open connections of clients. */
  readonly connections: number;
  /** Requests under way. */
  readonly active: number;
  readonly armedTimers: number;
  /** Hands the worker a message of the supervisor's. */
  handle(message: ToWorker): void;
  /** Drains and resolves with the number of requests that were cut off. */
  drain(timeoutMs: number): Promise<number>;
}

/** Waits until `test` holds; fails with `what` after ten seconds. For what has no event to wait for. */
export async function until(test: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!test()) {
    assert.ok(Date.now() < deadline, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A free port of the loopback interface, given back at once. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Runs `use` with a proxy of this configuration. `port: 0` and `:0` in a listener's address are replaced by free
 * ports before it is read.
 */
export async function withProxy<T>(
  yaml: string,
  use: (proxy: TestProxy) => Promise<T>,
  options: { readonly secrets?: SecretSet; readonly clock?: Clock } = {},
): Promise<T> {
  const ledger = createLedger({
    workers: 1,
    maxServices: 256,
    maxEndpoints: 1_024,
    maxLimits: 64,
    maxLimitTables: 8,
  });
  const cells = createMetricCells({ workers: 1, capacity: METRIC_CELLS_CAPACITY });
  const slots = new Map<string, number>();
  const blocks = new Map<string, number>();
  const decisions: Decision[] = [];
  const spans: SpanRecord[] = [];
  /** Blocks of counters by their first cell, with the listener's name. */
  const listeners = new Map<number, string>();
  let applied: ((faults: readonly unknown[]) => void) | null = null;
  let drained: ((aborted: number) => void) | null = null;
  let version = 0;
  let current: Snapshot | null = null;

  const slotOf: SlotOf = (kind, key) => {
    const known = slots.get(`${kind} ${key}`);
    if (known !== undefined) return known;
    const slot = {
      service: () => ledger.allocateService(key),
      endpoint: () => ledger.endpoints.allocate(serviceOf(key), key),
      limit: () => ledger.rateLimits.allocate(key),
      'limit-table': () => ledger.rateLimits.allocateTable(key),
    }[kind]();
    slots.set(`${kind} ${key}`, slot);
    return slot;
  };
  const serviceOf = (key: string): number =>
    slots.get(`service ${key.slice(0, key.lastIndexOf('|'))}`) as number;

  const build = async (text: string): Promise<Snapshot> => {
    let filled = text;
    while (/(address: [^\n]*?):0\b/.test(filled))
      filled = filled.replace(/(address: [^\n]*?):0\b/, `$1:${await freePort()}`);
    const loaded = loadConfig(`${filled}\nworkers: 1\n`, 'test.yaml', { fileReadable: () => true });
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map((fault) => formatFault(fault)).join('\n'));
    return buildSnapshot(loaded.draft, ++version, slotOf);
  };

  const onMessage = (message: FromWorker): void => {
    if (message.type === 'applied') {
      applied?.(message.faults);
      applied = null;
    } else if (message.type === 'records') {
      decisions.push(...message.batch.decisions);
      spans.push(...message.batch.spans);
      for (const series of message.batch.series) {
        if (series.block === 'service' || series.block === 'limit') blocks.set(series.owner, series.offset);
        if (series.block === 'listener') {
          listeners.set(series.offset, series.labels.envoy_http_conn_manager_prefix ?? '');
        }
      }
      queueMicrotask(() => plane.handle({ type: 'records-taken', count: 1 }));
    } else if (message.type === 'drained') drained?.(message.aborted);
  };

  const first = await build(yaml);
  current = first;
  ledger.workerStarting(0, 0);
  const ready = new Promise<readonly unknown[]>((resolve) => {
    applied = resolve;
  });
  const plane = new DataPlane(
    {
      outboardWorker: true,
      index: 0,
      ledger: ledger.buffers,
      metrics: cells.buffers,
      snapshot: diffSnapshots(null, first),
      secrets: encodeSecrets(options.secrets ?? NO_SECRETS),
    },
    onMessage,
    options.clock,
  );
  assert.deepEqual(await ready, [], 'every listener listens');

  const proxy: TestProxy = {
    ports: new Map(first.listeners.map((listener) => [listener.name, listener.port])),
    port: first.listeners[0]?.port ?? 0,
    decisions,
    spans,
    ledger,
    get snapshot() {
      return current as Snapshot;
    },
    async reload(text, secrets) {
      const next = await build(text);
      const done = new Promise<readonly unknown[]>((resolve) => {
        applied = resolve;
      });
      const delta = diffSnapshots(current as Snapshot, next);
      current = next;
      plane.handle({
        type: 'snapshot',
        delta,
        secrets: secrets === undefined ? null : encodeSecrets(secrets),
      });
      assert.deepEqual(await done, []);
    },
    rotate(secrets) {
      plane.handle({ type: 'secrets', secrets: encodeSecrets(secrets) });
    },
    counter(service, name) {
      const base = blocks.get(service);
      return base === undefined ? 0 : cells.read(base + COUNTER[name]);
    },
    listenerCounter(listener, name) {
      let sum = 0;
      for (const [base, owner] of listeners) {
        if (owner === listener) sum += cells.read(base + LISTENER_COUNTER[name]);
      }
      return sum;
    },
    limitCounter(id, name) {
      const base = blocks.get(limitOwner(id));
      return base === undefined ? 0 : cells.read(base + LIMIT_COUNTER[name]);
    },
    gauge(service, name) {
      return ledger.readGauge(slots.get(`service ${service}`) as number, GAUGE[name]).active;
    },
    endpointSlot(service, port) {
      const found = (current as Snapshot).services
        .find((config) => config.name === service)
        ?.endpoints.find((endpoint) => endpoint.port === port);
      assert.ok(found, `${service} has an endpoint at port ${port}`);
      return found.slot;
    },
    async recorded() {
      plane.flush();
      await new Promise((resolve) => setImmediate(resolve));
    },
    async decision(requestId) {
      const wanted = () =>
        decisions.filter((decision) => (requestId ?? decision.requestId) === decision.requestId);
      await until(() => {
        plane.flush();
        return wanted().length > 0;
      }, 'a decision record');
      assert.equal(wanted().length, 1, 'one decision record');
      return wanted()[0] as Decision;
    },
    get connections() {
      return openConnections();
    },
    get active() {
      return plane.activeRequests;
    },
    get armedTimers() {
      return plane.armedTimers;
    },
    handle(message) {
      plane.handle(message);
    },
    drain(timeoutMs) {
      return new Promise((resolve) => {
        drained = resolve;
        plane.handle({ type: 'drain', timeoutMs });
      });
    },
  };
  const openConnections = (): number => {
    let open = 0;
    for (const base of listeners.keys()) {
      open += cells.read(base + LISTENER_COUNTER.downstreamCxTotal);
      open -= cells.read(base + LISTENER_COUNTER.downstreamCxDestroy);
    }
    return open;
  };

  let outcome: T;
  try {
    outcome = await use(proxy);
  } catch (error) {
    await plane.stop();
    throw error;
  }
  await plane.stop();
  assert.equal(plane.activeRequests, 0, 'no request is left active');
  assert.equal(plane.armedTimers, 0, 'no timer is left armed');
  assert.equal(openConnections(), 0, 'every connection of a client was closed');
  for (const { address, connections, requests, bufferedBytes } of ledger.callers.read(0, 64))
    assert.deepEqual([connections, requests, bufferedBytes], [0, 0, 0], `what ${address} held came back`);
  for (const service of (current as Snapshot).services) {
    for (const [name, gauge] of Object.entries(GAUGE)) {
      assert.equal(
        ledger.readGauge(service.slot, gauge).active,
        0,
        `${name} of ${service.name} came back to 0`,
      );
    }
  }
  return outcome;
}
