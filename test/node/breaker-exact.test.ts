/** A limit of N admits N for the whole node, whichever of its workers ask. */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { withNode } from '../kit/node.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const LIMIT = 10;
const CALLS = 200;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly ms: number;
}

/** A call on a connection of its own, so that the kernel spreads calls over the workers. */
function call(port: number, path = '/'): Promise<Answer> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false });
    const request = httpRequest({ host: '127.0.0.1', port, path, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body, ms: performance.now() - start }),
      );
    });
    request.on('error', reject);
    request.end();
  });
}

function config(port: number, backend: number, breaker: string): string {
  return `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }], retry: { attempts: 0 } }] }]
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${backend} }], circuitBreaker: ${breaker} }]
workers: 4
`;
}

type HoldingBackend = Awaited<ReturnType<typeof holdingBackend>>;

/** A backend that holds every request until it is let go, and knows the most it ever held. */
async function holdingBackend() {
  const held: (() => void)[] = [];
  let active = 0;
  const seen = { most: 0 };
  let onHeld: () => void = () => {};
  const backend = await httpBackend((_request, response) => {
    active++;
    seen.most = Math.max(seen.most, active);
    response.on('close', () => {
      active--;
    });
    held.push(() => response.end('slow'));
    onHeld();
  });
  return {
    backend,
    seen,
    release: () => {
      for (const go of held.splice(0)) go();
    },
    async holds(count: number) {
      while (held.length < count) {
        await new Promise<void>((resolve) => {
          onHeld = resolve;
        });
      }
    },
  };
}

/**
 * One round: as many calls at once as `CALLS`. The held ones are let go only when every other call has been
 * refused, so a refusal waits for nothing. Returns how long the slowest refusal took, in ms.
 */
async function saturate(port: number, held: HoldingBackend): Promise<number> {
  let refused = 0;
  let slowestMs = 0;
  let onAllRefused: () => void = () => {};
  const allRefused = new Promise<void>((resolve) => {
    onAllRefused = resolve;
  });
  held.seen.most = 0;
  const calls = Array.from({ length: CALLS }, async () => {
    const answer = await call(port);
    if (answer.status === 503) {
      assert.match(answer.body, /max-requests \(UO\)/);
      slowestMs = Math.max(slowestMs, answer.ms);
      if (++refused === CALLS - LIMIT) onAllRefused();
    }
    return answer;
  });
  await Promise.all([allRefused, held.holds(LIMIT)]);
  held.release();
  const answers = await Promise.all(calls);
  assert.equal(answers.filter((answer) => answer.status === 200).length, LIMIT);
  assert.equal(held.seen.most, LIMIT);
  return slowestMs;
}

test('4 workers, maxRequests 10, 200 concurrent calls, five times: the backend never sees an 11th', async (t) => {
  const held = await holdingBackend();
  const port = await freePort();
  await withNode(config(port, held.backend.port, `{ maxRequests: ${LIMIT} }`), async () => {
    for (let round = 1; round <= 5; round++) {
      const slowestMs = await saturate(port, held);
      t.diagnostic(`round ${round}: the slowest refusal took ${slowestMs.toFixed(0)} ms`);
    }
  });
  await held.backend.close();
});

test('4 workers, maxConnections 1, 40 calls on fresh connections: all 200, never a second upstream connection', async () => {
  let open = 0;
  let most = 0;
  const backend = await httpBackend((_request, response) => response.end('ok'));
  backend.server.on('connection', (socket) => {
    open++;
    most = Math.max(most, open);
    socket.on('end', () => {
      open--;
    });
  });
  const port = await freePort();
  await withNode(config(port, backend.port, '{ maxConnections: 1 }'), async () => {
    for (let i = 0; i < 40; i++) assert.equal((await call(port)).status, 200);
    assert.equal(most, 1);
  });
  await backend.close();
});

test('a worker that dies while the breaker is full gives its places back, and the limit is exact again', async () => {
  const held = await holdingBackend();
  const port = await freePort();
  await withNode(config(port, held.backend.port, `{ maxRequests: ${LIMIT} }`), async (node) => {
    const before = Array.from({ length: CALLS }, () => call(port).catch(() => null));
    await held.holds(LIMIT);
    for (let worker = 0; worker < 4; worker++) {
      const answer = await node.admin(`/workers/${worker}/restart?drain=false`, 'POST');
      assert.ok(answer.ok, await answer.text());
    }
    held.release();
    await Promise.all(before);
    await node.ready();
    await saturate(port, held);
  });
  await held.backend.close();
});
