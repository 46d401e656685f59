/**
 * What telemetry costs per request: `node bench/micro/record-finish.ts`. Median and best of
 * rounds, in nanoseconds. The access log goes to /dev/null, batches to nowhere.
 */
import { failure, systemClock } from '../../src/base/index.ts';
import { attachMetricCells, createMetricCells } from '../../src/ledger/index.ts';
import { type ConnectionFacts, HeaderList, nameIdOf } from '../../src/message/index.ts';
import {
  AccessLog,
  AttemptRecord,
  COUNTER,
  METRIC_CELLS_CAPACITY,
  Recorder,
  type RequestRecord,
} from '../../src/telemetry/index.ts';

const ROUNDS = 15;
const PER_ROUND = 50_000;
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';

const facts: ConnectionFacts = {
  listener: 'web',
  remoteAddress: '10.0.0.7',
  remotePort: 40_000,
  localAddress: '127.0.0.1',
  caller: -1,
  localPort: 8_443,
  tls: null,
};

function recorderOf(log: AccessLog | null): Recorder {
  const { buffers } = createMetricCells({ workers: 1, capacity: METRIC_CELLS_CAPACITY });
  let taker: Recorder | null = null;
  const recorder = new Recorder({
    clock: systemClock,
    cells: attachMetricCells(buffers, 0),
    sink: { post: () => taker?.taken(1) },
    log,
    tracing: { sampling: 0, propagation: ['w3c'], serviceName: 'outboard' },
  });
  taker = recorder;
  recorder.metrics.addService('cart', 0);
  recorder.metrics.addListener('web', '127.0.0.1_8443');
  return recorder;
}

function record(recorder: Recorder, status: number): RequestRecord {
  const made = recorder.begin(facts);
  made.requestId = '550e8400-e29b-41d4-a716-446655440000';
  made.method = 'GET';
  made.target = '/api/v1/items?limit=20&offset=40';
  made.authority = 'cart.shop:8443';
  made.userAgent = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0';
  made.rule = 'cart/0';
  made.service = 'cart';
  made.serviceSlot = 0;
  made.status = status;
  made.responseBytes = 64;
  const attempt = new AttemptRecord('cart', made.startMs, 0, '');
  attempt.endpoint = '127.0.0.1:9001';
  attempt.status = status;
  attempt.endMs = made.startMs + 1;
  made.attempts.push(attempt);
  made.responseStartMs = made.startMs + 1;
  made.endMs = made.startMs + 1.25;
  return made;
}

/** Nanoseconds per call; the event loop turns between rounds, so that the log can be written. */
async function measure(name: string, call: (i: number) => void): Promise<void> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < PER_ROUND; i++) call(i);
    rounds.push(Number(process.hrtime.bigint() - start) / PER_ROUND);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  rounds.sort((a, b) => a - b);
  const [best = 0] = rounds;
  const median = rounds[ROUNDS >> 1] ?? 0;
  console.log(`${name.padEnd(44)} ${median.toFixed(0).padStart(6)} ns, best ${best.toFixed(0).padStart(6)}`);
}

const plain = recorderOf(null);
const log = new AccessLog({ path: '/dev/null', onError: console.error });
const logged = recorderOf(log);
const fresh = received([
  'host',
  'cart.shop',
  'accept',
  '*/*',
  'user-agent',
  'curl/8.0',
  'cookie',
  'session=0123456789',
]);
const traced = received([
  'host',
  'cart.shop',
  'accept',
  '*/*',
  'user-agent',
  'curl/8.0',
  'traceparent',
  TRACEPARENT,
]);

await measure('record made and filled', () => {
  record(plain, 200);
});
await measure('the same, finish: metrics', () => plain.finish(record(plain, 200)));
await measure('the same, finish: metrics, log line', () => logged.finish(record(logged, 200)));
await measure('the same, finish: metrics, 3 spans', () => {
  const made = record(plain, 200);
  const headers = HeaderList.of('traceparent', TRACEPARENT.replace(/00$/, '01'));
  made.trace = plain.readTrace(headers);
  for (const attempt of made.attempts) attempt.spanId = plain.attemptSpanId(made.trace);
  plain.finish(made);
});
await measure('the same, finish: metrics, refused', () => {
  const made = record(plain, 503);
  made.failure = failure('max-requests');
  plain.finish(made);
});
await measure('headers made (to subtract)', () => {
  fresh();
});
await measure('readTrace + writeTrace, no context', () => {
  const headers = fresh();
  const trace = plain.readTrace(headers);
  plain.writeTrace(headers, trace, '');
});
await measure('readTrace + writeTrace, traceparent', () => {
  const headers = traced();
  const trace = plain.readTrace(headers);
  plain.writeTrace(headers, trace, '');
});
await measure('ensureRequestId, none given', () => {
  plain.ensureRequestId(fresh());
});
const counters = plain.metrics.serviceOf(0, 'cart').counters;
await measure('ServiceCounters.add', () => counters.add(COUNTER.upstreamCxTotal, 1));
await log.close(1_000);

/** Makes lists as a codec does: one text with offsets and known names. */
function received(pairs: readonly string[]): () => HeaderList {
  let text = '';
  const spans: number[] = [];
  const ids: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const [name = '', value = ''] = pairs.slice(i, i + 2);
    const valueAt = text.length + name.length + 2;
    spans.push(text.length, text.length + name.length, valueAt, valueAt + value.length);
    ids.push(nameIdOf(name));
    text += `${name}: ${value}\r\n`;
  }
  return () => new HeaderList(text, spans, ids.slice());
}
