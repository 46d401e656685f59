/** A backend that fails every request must not be hit harder than the retry budget says, by the whole node. */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { withNode } from '../kit/node.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const RATE = 500;
const SECONDS = Number(process.env.OUTBOARD_SOAK_SECONDS ?? 6);
const TICK_MS = 10;

test(`${RATE} requests/s for ${SECONDS} s to a backend that always fails: the budget bounds the attempts`, async (t) => {
  const perSecond: number[] = [];
  const start = performance.now();
  const backend = await httpBackend((_request, response) => {
    const second = Math.floor((performance.now() - start) / 1_000);
    perSecond[second] = (perSecond[second] ?? 0) + 1;
    response.writeHead(503).end();
  });
  const port = await freePort();
  const config = `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes:
  - name: all
    rules:
      - backendRefs: [{ name: a }]
        retry: { attempts: 3, codes: [503], backoff: 1ms }
services:
  - name: a
    endpoints: [{ address: 127.0.0.1:${backend.port} }]
    retryBudget: { percent: 20, interval: 10s, minRetryRate: { count: 10, interval: 1s } }
workers: 2
`;
  await withNode(config, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 64 });
    const answers: Promise<number>[] = [];
    const begin = performance.now();
    await new Promise<void>((resolve) => {
      const driver = setInterval(() => {
        const due = Math.min(SECONDS * RATE, Math.floor(((performance.now() - begin) / 1_000) * RATE));
        while (answers.length < due) answers.push(get(port, agent));
        if (answers.length === SECONDS * RATE) {
          clearInterval(driver);
          resolve();
        }
      }, TICK_MS);
    });
    const statuses = await Promise.all(answers);
    agent.destroy();
    assert.ok(statuses.every((status) => status === 503));
  });
  const attempts = backend.requests.length;
  t.diagnostic(
    `${SECONDS * RATE} requests, ${attempts} attempts; most in one second: ${Math.max(...perSecond.filter(Number.isFinite))}`,
  );
  assert.ok(attempts > SECONDS * RATE, 'some retries are made');
  assert.ok(attempts <= SECONDS * RATE * 1.2 + 10 * (SECONDS + 1), `${attempts} attempts`);
  await backend.close();
});

function get(port: number, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', reject);
    request.end();
  });
}
