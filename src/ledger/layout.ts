// Where every cell of the ledger lies in its one SharedArrayBuffer, in 32-bit words.
//
// Six regions: service blocks, endpoint blocks, one block per worker, the buckets of rate limits, a block of latencies
// per service (adaptive concurrency), and one line of the node's (overload). A gauge that every
// worker writes has a 64-byte line of its own (8.8 ns per operation against 33-42 ns when two hot
// cells share a line). What one worker alone writes lies in that worker's block, so that no line is
// shared between two writers by accident. Blocks are sized for the limits at start; pages that no
// slot has touched cost address space only.

import type { CallerBuffers } from './caller-layout.ts';

/** The ledger's memory, seen as 32-bit words. */
export type Memory = Int32Array<SharedArrayBuffer>;

/** What the ledger is sized for; fixed for the life of the process. */
export interface LedgerShape {
  /** Worker slots, 1 to {@link MAX_WORKERS}; a replacement takes the slot of the worker it replaces. */
  readonly workers: number;
  /** Service slots, including those that drain after a removal. */
  readonly maxServices: number;
  /** Endpoint slots of all services together, including those that drain after a removal. */
  readonly maxEndpoints: number;
  /** Slots of rate limits, including those that drain after a removal. Default: none. */
  readonly maxLimits?: number;
  /** Tables of rate limits that count each key by itself. Default: none. */
  readonly maxLimitTables?: number;
}

/** The structured-cloneable handle that a worker receives in its workerData. */
export interface LedgerBuffers extends LedgerShape {
  readonly memory: SharedArrayBuffer;
  readonly callers: CallerBuffers;
}

/** One bit per worker in a non-negative 32-bit word (waiting masks). */
export const MAX_WORKERS = 31;

/**
 * The four circuit-breaker gauges of a service, named as in Envoy's CircuitBreakers.Thresholds, and the requests that
 * adaptive concurrency counts.
 */
export const GAUGE = { connections: 0, pending: 1, requests: 2, retries: 3, outstanding: 4 } as const;
export type Gauge = (typeof GAUGE)[keyof typeof GAUGE];
export const GAUGES = 5;

const LINE = 16;

/** Words inside a gauge's line. */
export const COUNT = 0;
export const HIGH_WATER = 1;
export const OPENED = 2;
export const OVERFLOW = 3;
/** Further words of the connections line: who waits for a connection slot. */
export const WAITING = 4;
export const GRANTED = 5;
export const LAST_GRANTED = 6;
export const LIMIT = 7;
/** A further word of the outstanding line: the limit that was found, read with every count. */
export const FOUND_LIMIT = 4;

/** Sub-buckets of a sliding window; a power of two. */
export const BUCKETS = 16;

/** Words inside the statistics line of a service. */
export const EJECTED = 0;
export const EJECTIONS_OVERFLOW = 1;
export const EJECTIONS = 2;
export const BUDGET_EXHAUSTED = 3;
export const HEDGE_CREDIT = 4;
/** Endpoints that are out for failing their active checks alone; recounted now and then, since ejections cross it. */
export const UNAVAILABLE = 5;

/** Detectors of outliers; one word each in the two halves of a service's line of detections. */
export const DETECTORS = 8;
export const DETECTED = 0;
export const ENFORCED = DETECTORS;

const RETRY_WINDOW = GAUGES * LINE;
const FLOOR_WINDOW = RETRY_WINDOW + BUCKETS;
const STATISTICS = FLOOR_WINDOW + BUCKETS;
const DETECTIONS = STATISTICS + LINE;
const SERVICE_WORDS = DETECTIONS + LINE;

/** Words inside an endpoint's line. */
export const ACTIVE = 0;
export const STATE = 1;
export const UNTIL = 2;
export const CHANGED = 3;
export const MULTIPLIER = 4;
export const CONSECUTIVE_5XX = 5;
export const CONSECUTIVE_GATEWAY = 6;
export const CONSECUTIVE_LOCAL = 7;
export const ENDPOINT_EJECTIONS = 8;
export const SERVICE = 9;
/** What the last detection found (outlier.ts), and how many were not enforced. */
export const FINDING = 10;
export const UNENFORCED = 11;
/** Peak EWMA of the time to the head of an answer, in ms as a 32-bit float, and when it was written; 0: no answer yet. */
export const LATENCY = 13;
export const LATENCY_AT = 14;
/** When it began to take requests, for slow start; 0: long ago. */
export const SINCE = 15;

export const ENDPOINT_WORDS = LINE;

/** Words inside a worker's first line. */
export const HEARTBEAT = 0;
export const ACKNOWLEDGED = 1;
export const LIVE = 2;
export const EJECTION_IN_PROGRESS = 3;

/** Words of a service's adaptive block: its state (see adaptive.ts), then the latencies sampled. */
export const LATENCIES = LINE;
export const LATENCY_BUCKETS = 400;
const ADAPTIVE_WORDS = LATENCIES + LATENCY_BUCKETS;

const DOORBELL = LINE;
/** What a worker does about overload: see overload.ts. */
const OVERLOAD = 2 * LINE;
const WORKER_HEAD = 3 * LINE;
const REQUEST_WORDS = 2 * BUCKETS;

/** Words of a worker for the results of one endpoint, by kind (results.ts). */
export const RESULTS = 4;
/** A group of a table of buckets: their words, 64 bits each, what else their keys are told by, and a lock. */
export const GROUP_BUCKETS = 10;
export const GROUP_TAGS = 2 * GROUP_BUCKETS;
export const GROUP_LOCK = 3 * GROUP_BUCKETS;
const GROUP_WORDS = 2 * LINE;
/** A power of two; 20,480 buckets; two thirds of them find keys before one finds no room (measured: 15,600 to 17,200 keys). */
export const TABLE_GROUPS = 2_048;

/** Offsets of a ledger of a given shape. */
export class Layout {
  readonly workers: number;
  readonly maxServices: number;
  readonly maxEndpoints: number;
  readonly maxLimits: number;
  readonly maxLimitTables: number;
  readonly words: number;
  readonly wantedWords: number;
  readonly #endpoints: number;
  readonly #workers: number;
  readonly #workerWords: number;
  readonly #ownActive: number;
  readonly #wanted: number;
  readonly #requests: number;
  readonly #limits: number;
  readonly #limitTables: number;
  readonly #results: number;
  readonly #adaptive: number;
  readonly #node: number;

  constructor(shape: LedgerShape) {
    this.workers = shape.workers;
    this.maxServices = shape.maxServices;
    this.maxEndpoints = shape.maxEndpoints;
    this.wantedWords = Math.ceil(shape.maxServices / 32);
    this.#endpoints = SERVICE_WORDS * shape.maxServices;
    this.#workers = this.#endpoints + ENDPOINT_WORDS * shape.maxEndpoints;
    this.#ownActive = WORKER_HEAD + wholeLines(GAUGES * shape.maxServices);
    this.#wanted = this.#ownActive + wholeLines(shape.maxEndpoints);
    this.#requests = this.#wanted + wholeLines(this.wantedWords);
    this.#results = this.#requests + REQUEST_WORDS * shape.maxServices;
    this.#workerWords = this.#results + wholeLines(RESULTS * shape.maxEndpoints);
    this.#limits = this.#workers + this.#workerWords * shape.workers;
    this.maxLimits = shape.maxLimits ?? 0;
    this.maxLimitTables = shape.maxLimitTables ?? 0;
    this.#limitTables = this.#limits + LINE * (1 + this.maxLimits);
    this.#adaptive = this.#limitTables + TABLE_GROUPS * GROUP_WORDS * this.maxLimitTables;
    this.#node = this.#adaptive + ADAPTIVE_WORDS * shape.maxServices;
    this.words = this.#node + 2 * LINE;
  }

  gauge(service: number, gauge: number): number {
    return SERVICE_WORDS * service + LINE * gauge;
  }

  retryWindow(service: number): number {
    return SERVICE_WORDS * service + RETRY_WINDOW;
  }

  floorWindow(service: number): number {
    return SERVICE_WORDS * service + FLOOR_WINDOW;
  }

  statistics(service: number): number {
    return SERVICE_WORDS * service + STATISTICS;
  }

  detections(service: number): number {
    return SERVICE_WORDS * service + DETECTIONS;
  }

  endpoint(endpoint: number): number {
    return this.#endpoints + ENDPOINT_WORDS * endpoint;
  }

  worker(worker: number): number {
    return this.#workers + this.#workerWords * worker;
  }

  doorbell(worker: number): number {
    return this.worker(worker) + DOORBELL;
  }

  ownGauge(worker: number, service: number, gauge: number): number {
    return this.worker(worker) + WORKER_HEAD + GAUGES * service + gauge;
  }

  ownActive(worker: number, endpoint: number): number {
    return this.worker(worker) + this.#ownActive + endpoint;
  }

  wanted(worker: number): number {
    return this.worker(worker) + this.#wanted;
  }

  requests(worker: number, service: number): number {
    return this.worker(worker) + this.#requests + REQUEST_WORDS * service;
  }

  results(worker: number, endpoint: number): number {
    return this.worker(worker) + this.#results + RESULTS * endpoint;
  }

  /** A line of the supervisor's own, laid out as a worker's first one. */
  supervisor(): number {
    return this.words - LINE;
  }

  /** Two words that the keys of rate limits are hashed with. */
  get limitSecret(): number {
    return this.#limits;
  }

  /** The bucket of a limit: 64 bits. */
  limit(limit: number): number {
    return this.#limits + LINE * (1 + limit);
  }

  limitGroup(table: number, group: number): number {
    return this.#limitTables + (TABLE_GROUPS * table + group) * GROUP_WORDS;
  }

  /** Makes every bucket of a slot full; only while no worker uses it. */
  clearLimit(memory: Memory, limit: number): void {
    memory.fill(0, this.limit(limit), this.limit(limit) + LINE);
  }

  clearLimitTable(memory: Memory, table: number): void {
    memory.fill(0, this.limitGroup(table, 0), this.limitGroup(table, TABLE_GROUPS));
  }

  adaptive(service: number): number {
    return this.#adaptive + ADAPTIVE_WORDS * service;
  }

  overload(worker: number): number {
    return this.worker(worker) + OVERLOAD;
  }

  /** The node's own line: see overload.ts. */
  node(): number {
    return this.#node;
  }

  /** Zeroes everything shared that a service slot holds; only while no worker uses it. */
  clearService(memory: Memory, service: number): void {
    // What was never sampled is left alone: writing zeroes would make the system give it memory.
    const adaptive = this.adaptive(service);
    if (memory[this.gauge(service, GAUGE.outstanding) + FOUND_LIMIT] !== 0)
      memory.fill(0, adaptive, adaptive + ADAPTIVE_WORDS);
    memory.fill(0, SERVICE_WORDS * service, SERVICE_WORDS * (service + 1));
    for (let worker = 0; worker < this.workers; worker++) {
      const requests = this.requests(worker, service);
      memory.fill(0, requests, requests + REQUEST_WORDS);
    }
  }
}

function wholeLines(words: number): number {
  return Math.ceil(words / LINE) * LINE;
}
