/** Records, cells and sinks for telemetry's tests. */
import { FakeClock } from '../../src/base/index.ts';
import { attachMetricCells, createMetricCells, type WorkerCells } from '../../src/ledger/index.ts';
import { type ConnectionFacts, HeaderList, type TlsFacts } from '../../src/message/index.ts';
import {
  AttemptRecord,
  COUNTER,
  METRIC_CELLS_CAPACITY,
  RandomIds,
  type RecordBatch,
  Recorder,
  type RecorderOptions,
  RequestRecord,
  type SeriesAnnouncement,
} from '../../src/telemetry/index.ts';

export function facts(parts: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    listener: 'web',
    remoteAddress: '10.0.0.7',
    remotePort: 40_000,
    localAddress: '127.0.0.1',
    caller: -1,
    localPort: 8_443,
    tls: null,
    ...parts,
  };
}

export function mutualTls(uriSan: string): TlsFacts {
  return {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    sni: 'cart.shop',
    alpn: 'http/1.1',
    resumed: false,
    peer: { subject: 'CN=web', uriSans: [uriSan], dnsSans: [], serial: '01', fingerprint256: 'AA' },
  };
}

export function newCells(capacity: number = METRIC_CELLS_CAPACITY): WorkerCells {
  return attachMetricCells(createMetricCells({ workers: 1, capacity }).buffers, 0);
}

/** Ids that count up: 00…01, 00…02, … in the last bytes of each. */
export function countingIds(): RandomIds {
  let block = 0;
  return new RandomIds((bytes) => {
    for (let at = 0; at < bytes.length; at += 8) bytes.writeBigUInt64BE(BigInt(++block), at);
  });
}

export interface Bench {
  readonly recorder: Recorder;
  readonly clock: FakeClock;
  readonly cells: WorkerCells;
  readonly batches: RecordBatch[];
  /** Announcements so far. */
  series(): SeriesAnnouncement[];
}

export function bench(options: Partial<RecorderOptions> = {}): Bench {
  const clock = new FakeClock();
  const cells = newCells();
  const batches: RecordBatch[] = [];
  const recorder = new Recorder({
    clock,
    cells,
    sink: { post: (batch) => batches.push(batch) },
    log: null,
    tracing: { sampling: 1, propagation: ['w3c'], serviceName: 'outboard' },
    ids: countingIds(),
    ...options,
  });
  return { recorder, clock, cells, batches, series: () => batches.flatMap(({ series }) => series) };
}

/** An answered request to `cart` that took 12.5 ms in one attempt. */
export function answered(
  clock: FakeClock,
  parts: Partial<RequestRecord> = {},
  connection: ConnectionFacts = facts(),
): RequestRecord {
  const record = new RequestRecord(connection, clock.nowMs(), clock.wallMs());
  Object.assign(record, {
    requestId: 'req-1',
    method: 'GET',
    target: '/items?limit=2',
    authority: 'cart.shop:8443',
    userAgent: 'curl/8.0',
    rule: 'cart/0',
    service: 'cart',
    serviceSlot: 3,
    status: 200,
    requestBytes: 7,
    responseBytes: 120,
    requestEndMs: record.startMs + 1,
    responseStartMs: record.startMs + 11,
    endMs: record.startMs + 12.5,
    ...parts,
  });
  if (record.attempts.length === 0 && record.service !== '') record.attempts.push(attempt(record));
  return record;
}

export function attempt(record: RequestRecord, parts: Partial<AttemptRecord> = {}): AttemptRecord {
  const made = new AttemptRecord(
    record.service,
    parts.startMs ?? record.startMs + 1,
    parts.backoffMs ?? 0,
    parts.retryReason ?? '',
  );
  return Object.assign(made, {
    endpoint: '127.0.0.1:9001',
    status: 200,
    connectMs: 0.25,
    endMs: record.endMs < 0 ? record.startMs + 12 : record.endMs - 0.5,
    ...parts,
  });
}

/** A seeded generator (mulberry32), from [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sampled, with a parent. */
export const TRACED = HeaderList.of('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');

/** A bench that knows the service `cart` and the listener `web`. */
export function ready(): Bench {
  const made = bench();
  made.recorder.metrics.addService('cart', 3);
  made.recorder.metrics.addListener('web', '127.0.0.1_8443');
  return made;
}

/** A counter of the service `cart`. */
export function cluster(made: Bench, counter: keyof typeof COUNTER): number {
  return made.recorder.metrics.serviceOf(3, 'cart').counters.read(COUNTER[counter]);
}

/** A cell of the listener `web`. */
export function listener(made: Bench, cell: number): number {
  return made.recorder.metrics.listenerOf('web')?.read(cell) ?? -1;
}
