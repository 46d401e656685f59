/**
 * A rate limit holds for the whole node, whichever of its workers the requests come to. OUTBOARD_SOAK_SECONDS=60 for the long
 * form, which also says how much of the limit was used.
 */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { withNode } from '../kit/node.ts';
import { httpBackend } from '../kit/raw.ts';

const SECONDS = Number(process.env.OUTBOARD_SOAK_SECONDS ?? 2);
/** So many connections, each kept, that the kernel gives every worker some. */
const CONNECTIONS = 40;

function call(agent: Agent, port: number, user: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, agent, headers: { 'x-user': user } };
    httpRequest(options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

function config(backend: number, limits: string): string {
  return `
listeners: [{ name: web, address: 127.0.0.1:0 }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }], rateLimits: [${limits}] }] }]
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${backend} }] }]
workers: 4
`;
}

/** Of the log: a port that the system gave. */
const LISTENS = /"web 127\.0\.0\.1:(\d+)"/;

/** Runs `use` with a node of four workers, and as many connections as there are agents. */
async function withLimits(
  limits: string,
  use: (
    node: Parameters<Parameters<typeof withNode>[1]>[0],
    agents: readonly Agent[],
    port: number,
  ) => Promise<void>,
): Promise<number> {
  let hits = 0;
  const backend = await httpBackend((_request, response) => {
    hits++;
    response.end('ok');
  });
  const agents = Array.from({ length: CONNECTIONS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  await withNode(config(backend.port, limits), async (node) => {
    const [, port] = LISTENS.exec(await node.said(LISTENS)) as RegExpExecArray;
    await use(node, agents, Number(port));
    for (const agent of agents) agent.destroy();
  });
  await backend.close();
  return hits;
}

interface LimitView {
  readonly id: string;
  readonly remaining: number;
  readonly keys: number | null;
}

test('4 workers, a bucket of 300 tokens and one of 20 for each of 10 users: exactly so many pass', async () => {
  const limits = `{ name: all, requests: 300, interval: 24h },
    { name: user, requests: 20, interval: 24h, per: { httpHeaderName: x-user } }`;
  let passed = 0;
  const hits = await withLimits(limits, async (node, agents, port) => {
    const byUser = new Map<string, number>();
    await Promise.all(
      agents.map(async (agent, i) => {
        for (let round = 0; round < 30; round++) {
          const user = `u${(i + round) % 10}`;
          if ((await call(agent, port, user)) !== 200) continue;
          passed++;
          byUser.set(user, (byUser.get(user) ?? 0) + 1);
        }
      }),
    );
    assert.equal(passed, 200);
    for (const [user, count] of byUser) assert.equal(count, 20, user);
    // What a user was refused took nothing of the bucket of all.
    for (let i = 0; i < 120; i++) if ((await call(agents[0] as Agent, port, `more${i}`)) === 200) passed++;
    assert.equal(passed, 300);
    const limits = (await (await node.admin('/rate-limits')).json()) as LimitView[];
    assert.deepEqual(
      limits.map(({ id, remaining, keys }) => [id, remaining, keys]),
      [
        ['routes/all/0/all', 0, null],

        ['routes/all/0/user', 20, 110],
      ],
    );
    const metrics = await (await node.admin('/metrics')).text();
    const line =
      /envoy_http_local_rate_limit_ok\{envoy_local_http_ratelimit_prefix="routes\/all\/0\/all"\} (\d+)/;
    assert.equal(line.exec(metrics)?.[1], '300');
  });
  assert.equal(hits, 300);
});

test('buckets outlive the workers that took of them', async () => {
  await withLimits('{ name: all, requests: 50, interval: 24h }', async (node, agents, port) => {
    const [agent] = agents as readonly [Agent];
    for (let i = 0; i < 30; i++) assert.equal(await call(agent, port, ''), 200);
    for (let worker = 0; worker < 4; worker++) {
      const answer = await node.admin(`/workers/${worker}/restart?drain=false`, 'POST');
      assert.ok(answer.ok, await answer.text());
    }
    await node.ready();
    let passed = 0;
    const fresh = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 30; i++) if ((await call(fresh, port, '')) === 200) passed++;
    fresh.destroy();
    assert.equal(passed, 20);
  });
});

/** A request that passed: between when it was sent and when it was answered it took its token. */
interface Passed {
  readonly sentMs: number;
  readonly answeredMs: number;
}

const RATE = 200;
const OFFERED = 2_000;

test(`4 workers, ${RATE} a second and ${OFFERED} asked for, ${SECONDS} s: never more than the bucket allows`, async (t) => {
  const passed: Passed[] = [];
  let asked = 0;
  let startMs = 0;
  let endMs = 0;
  await withLimits(`{ name: all, requests: ${RATE} }`, async (_node, agents, port) => {
    startMs = performance.now();
    const until = startMs + SECONDS * 1_000;
    await Promise.all(
      agents.map(async (agent, i) => {
        const everyMs = (1_000 * CONNECTIONS) / OFFERED;
        for (let dueMs = startMs + (i * everyMs) / CONNECTIONS; dueMs < until; dueMs += everyMs) {
          const waitMs = dueMs - performance.now();
          if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
          const sentMs = performance.now();
          asked++;
          if ((await call(agent, port, '')) === 200) passed.push({ sentMs, answeredMs: performance.now() });
        }
      }),
    );
    endMs = performance.now();
  });
  const allowed = RATE + (RATE * (endMs - startMs)) / 1_000;
  assert.ok(passed.length <= allowed, `${passed.length} passed, ${allowed} allowed`);
  assertEveryWindow(passed);
  const share = passed.length / allowed;
  t.diagnostic(
    `${asked} asked for in ${((endMs - startMs) / 1_000).toFixed(1)} s; ${passed.length} passed, ${(share * 100).toFixed(2)} % of ${allowed.toFixed(1)}`,
  );
  // A test beside others may be kept from asking for longer than a bucket has room.
  if (SECONDS >= 30) assert.ok(share >= 0.99, `${share} of the limit used`);
});

/** Requests sent and answered within a window took their tokens there, so that no window holds more than its bucket allows. */
function assertEveryWindow(passed: readonly Passed[]): void {
  const sent = passed.toSorted((a, b) => a.sentMs - b.sentMs);
  for (const lengthMs of [50, 200, 1_000, 5_000]) {
    const allowed = RATE + (RATE * lengthMs) / 1_000;
    let from = 0;
    for (let to = 0; to < sent.length; to++) {
      const last = sent[to] as Passed;
      while ((sent[from] as Passed).sentMs < last.answeredMs - lengthMs) from++;
      let count = 0;
      for (let i = from; i <= to; i++) if ((sent[i] as Passed).answeredMs <= last.answeredMs) count++;
      assert.ok(count <= allowed, `${count} passed in ${lengthMs} ms, ${allowed} allowed`);
    }
  }
}
