/** OTLP export: what arrives, and that a slow, failing or absent collector costs counted spans and nothing else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { OtlpExporter, type OtlpOptions, type OtlpStats } from '../../src/controlplane/export/index.ts';
import type { SpanRecord } from '../../src/telemetry/index.ts';

type Answer = (response: ServerResponse, spans: number, post: number) => void;

interface Collector {
  readonly endpoint: string;
  readonly posts: {
    readonly headers: IncomingMessage['headers'];
    readonly url: string;
    readonly body: Buffer;
  }[];
  answer: Answer;
  /** Every connection is reset; the port stays taken, so that nobody else can be met there. */
  gone(isGone: boolean): void;
}

const OK: Answer = (response) => {
  response.end();
};

async function collector(t: TestContext, answer: Answer = OK): Promise<Collector> {
  let isGone = false;
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      made.posts.push({ headers: request.headers, url: request.url ?? '', body });
      made.answer(response, spansIn(body), made.posts.length);
    });
  });
  server.on('connection', (socket) => {
    if (isGone) socket.resetAndDestroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made: Collector = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posts: [],
    answer,
    gone(now) {
      isGone = now;
      if (now) server.closeAllConnections();
    },
  };
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return made;
}

/** Every span carries its name `GET cart/0` once. */
const spansIn = (body: Buffer): number => body.toString('latin1').split('GET cart/0').length - 1;

function exporter(t: TestContext, endpoint: string, options: Partial<OtlpOptions> = {}): OtlpExporter {
  const made = new OtlpExporter({
    endpoint,
    delayMs: 5,
    ...options,
    post: { timeoutMs: 2_000, totalMs: 4_000, backoffMs: 4, random: () => 0.5, ...options.post },
  });
  t.after(() => made.shutdown(0));
  return made;
}

/** Resolves when `done()` holds, asked once per turn of the event loop. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

let serial = 0;
function spans(count: number, parts: Partial<SpanRecord> = {}): SpanRecord[] {
  return Array.from({ length: count }, () => ({
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId: (++serial).toString(16).padStart(16, '0'),
    parentSpanId: '00f067aa0ba902b7',
    parentIsRemote: true,
    traceState: 'a=1',
    name: 'GET cart/0',
    kind: 'server' as const,
    service: 'cart',
    startMs: 1_700_000_000_000.25,
    endMs: 1_700_000_000_012.75,
    isError: false,
    errorText: '',
    attributes: { 'http.response.status_code': 200, 'url.path': '/items', sampled: true, ratio: 0.5 },
    ...parts,
  }));
}

/** Whatever happens, every span is somewhere. */
function assertBalanced(stats: OtlpStats): void {
  const { offered, exported, rejected, droppedQueueFull, droppedExportFailed, queued, inFlight } = stats;
  assert.equal(
    exported + rejected + droppedQueueFull + droppedExportFailed + queued + inFlight,
    offered,
    JSON.stringify(stats),
  );
}

test('spans arrive as protobuf, in batches, and are counted as exported', async (t) => {
  const made = await collector(t);
  const otlp = exporter(t, `${made.endpoint}/`);
  otlp.add(spans(600));
  await otlp.shutdown(2_000);
  assert.equal(
    made.posts.reduce((sum, { body }) => sum + spansIn(body), 0),
    600,
  );
  assert.ok(
    made.posts.every(
      ({ url, headers }) => url === '/v1/traces' && headers['content-type'] === 'application/x-protobuf',
    ),
  );
  const stats = otlp.stats();
  assertBalanced(stats);
  assert.equal(stats.exported, 600);
});

test('each service is a resource of its own, and what a span says arrives', async (t) => {
  const made = await collector(t);
  const otlp = exporter(t, made.endpoint, { resource: { 'service.namespace': 'shop' } });
  otlp.add([
    ...spans(2),
    ...spans(1, { service: 'stock', isError: true, errorText: 'connect-refused', kind: 'client' }),
  ]);
  await otlp.shutdown(2_000);
  const text = Buffer.concat(made.posts.map(({ body }) => body)).toString('latin1');
  assert.equal(text.split('service.name\u0012').length - 1, 2, 'two resources');
  for (const part of [
    'cart',
    'stock',
    'service.namespace',
    'shop',
    'host.name',
    'url.path',
    '/items',
    'connect-refused',
    'a=1',
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.ok(text.includes(Buffer.from('4bf92f3577b34da6a3ce929d0e0e4736', 'hex').toString('latin1')));
});

test('the path of the endpoint is kept', async (t) => {
  const made = await collector(t);
  for (const path of ['/otlp', '/otlp/v1/traces']) {
    const otlp = exporter(t, made.endpoint + path);
    otlp.add(spans(1));
    await otlp.shutdown(2_000);
  }
  assert.deepEqual(
    made.posts.map(({ url }) => url),
    ['/otlp/v1/traces', '/otlp/v1/traces'],
  );
});

test('an endpoint that is no URL is refused with its cure', () => {
  for (const endpoint of ['127.0.0.1:4318', 'grpc://jaeger:4317', '']) {
    assert.throws(() => new OtlpExporter({ endpoint }), /write it like http:\/\/127.0.0.1:4318/);
  }
});

test('a collector that is busy is tried again; one that refuses is not', async (t) => {
  const busy = await collector(t, (response, _spans, post) => {
    response.statusCode = post < 3 ? 503 : 200;
    response.end('busy');
  });
  const patient = exporter(t, busy.endpoint);
  patient.add(spans(3));
  await until(() => patient.stats().exported === 3);
  assert.equal(busy.posts.length, 3);
  assert.equal(patient.stats().failedPosts, 2);
  assertBalanced(patient.stats());

  const refusing = await collector(t, (response) => {
    response.statusCode = 400;
    response.end('no');
  });
  const refused = exporter(t, refusing.endpoint);
  refused.add(spans(3));
  await until(() => refused.stats().droppedExportFailed === 3);
  assert.equal(refusing.posts.length, 1);
  assert.match(refused.stats().lastError, /answered 400/);
  assertBalanced(refused.stats());
});

test('spans that the collector rejects within a batch are counted', async (t) => {
  const made = await collector(t, (response) => {
    // ExportTraceServiceResponse { partial_success { rejected_spans: 2, error_message: "old" } }
    response.setHeader('content-type', 'application/x-protobuf');
    response.end(Buffer.from([0x0a, 0x07, 0x08, 0x02, 0x12, 0x03, 0x6f, 0x6c, 0x64]));
  });
  const otlp = exporter(t, made.endpoint);
  otlp.add(spans(5));
  await otlp.shutdown(2_000);
  assert.deepEqual([otlp.stats().exported, otlp.stats().rejected], [3, 2]);
  assertBalanced(otlp.stats());
});

test('a 2xx answer in another language is a success', async (t) => {
  const made = await collector(t, (response) => response.end('{"partialSuccess":{}}'));
  const otlp = exporter(t, made.endpoint);
  otlp.add(spans(2));
  await otlp.shutdown(2_000);
  assert.equal(otlp.stats().exported, 2);
});

test('a collector that hangs fills the queue; the rest is dropped and counted exactly', async (t) => {
  const held: ServerResponse[] = [];
  const made = await collector(t, (response) => held.push(response));
  const otlp = exporter(t, made.endpoint, { queue: 100 });
  otlp.add(spans(100));
  await until(() => held.length === 1);
  assert.equal(otlp.stats().inFlight, 100);
  otlp.add(spans(250));
  const stats = otlp.stats();
  assert.deepEqual([stats.offered, stats.queued, stats.droppedQueueFull], [350, 100, 150]);
  assertBalanced(stats);
  made.answer = OK;
  held[0]?.end();
  await until(() => otlp.stats().exported === 200);
  assertBalanced(otlp.stats());
});

test('a collector that never answers is given up after its time', async (t) => {
  const made = await collector(t, () => {});
  const otlp = exporter(t, made.endpoint, {
    post: { timeoutMs: 30, totalMs: 60, backoffMs: 1, random: () => 0.5 },
  });
  otlp.add(spans(4));
  await until(() => otlp.stats().droppedExportFailed === 4);
  assert.match(otlp.stats().lastError, /did not answer within 30 ms/);
  assertBalanced(otlp.stats());
});

test('a collector that goes and comes back: losses are counted, the state is told once each way, new spans arrive', async (t) => {
  const states: boolean[] = [];
  let told = (): void => {};
  const made = await collector(t);
  const otlp = exporter(t, made.endpoint, {
    onState: (works) => {
      states.push(works);
      told();
    },
    post: { timeoutMs: 500, totalMs: 20, backoffMs: 4, random: () => 0.5 },
  });
  otlp.add(spans(5));
  await until(() => otlp.stats().exported === 5);
  made.gone(true);

  const gone = new Promise<void>((resolve) => {
    told = resolve;
  });
  for (let i = 0; i < 10; i++) otlp.add(spans(50));
  await gone;
  assert.match(otlp.stats().lastError, /ECONNREFUSED|closed|reset/i);
  assertBalanced(otlp.stats());

  made.gone(false);
  const working = new Promise<void>((resolve) => {
    told = resolve;
  });
  otlp.add(spans(7));
  await working;
  await until(() => otlp.stats().queued === 0 && otlp.stats().inFlight === 0);
  assert.deepEqual(states, [false, true]);
  assert.ok(otlp.stats().droppedExportFailed > 0);
  assert.equal(otlp.stats().lastError, '');
  assertBalanced(otlp.stats());
  assert.equal(
    otlp.stats().exported,
    made.posts.reduce((sum, { body }) => sum + spansIn(body), 0),
  );
});

test('shutdown sends what is queued', async (t) => {
  const made = await collector(t);
  const otlp = exporter(t, made.endpoint, { delayMs: 60_000 });
  otlp.add(spans(1_300));
  await otlp.shutdown(5_000);
  assert.equal(otlp.stats().exported, 1_300);
  otlp.add(spans(2));
  assert.equal(otlp.stats().droppedQueueFull, 2, 'after shutdown nothing is taken');
  assertBalanced(otlp.stats());
});

test('shutdown waits for the batch that is under way', async (t) => {
  const held: ServerResponse[] = [];
  const made = await collector(t, (response) => held.push(response));
  const otlp = exporter(t, made.endpoint);
  otlp.add(spans(3));
  await until(() => held.length === 1);
  const shut = otlp.shutdown(10_000);
  otlp.add(spans(1));
  held[0]?.end();
  await shut;
  assert.deepEqual([otlp.stats().exported, otlp.stats().droppedExportFailed], [3, 0]);
  assertBalanced(otlp.stats());
});

test('shutdown with the collector gone or hanging ends in the time given', async (t) => {
  const gone = exporter(t, 'http://127.0.0.1:1', { delayMs: 60_000 });
  gone.add(spans(1_300));
  await gone.shutdown(60_000);
  assert.equal(gone.stats().droppedExportFailed, 1_300);
  const made = await collector(t, () => {});
  const hanging = exporter(t, made.endpoint, {
    delayMs: 60_000,
    post: { timeoutMs: 60_000, totalMs: 60_000, backoffMs: 1, random: () => 0.5 },
  });
  hanging.add(spans(700));
  await hanging.shutdown(20);
  assert.equal(hanging.stats().droppedExportFailed, 700);
  assertBalanced(hanging.stats());
});
