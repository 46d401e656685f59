/** Jaeger comes and goes while the real process carries load: traffic never notices, and what is lost is counted. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { choosePorts, eventually, startJaeger, stopJaeger, traceOf } from '../kit/jaeger.ts';
import { withNode } from '../kit/node.ts';
import { peer } from '../kit/peers.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const jaeger = peer('jaeger');
const CLIENTS = 16;

/** The value of a metric, summed over its series. */
function metric(text: string, name: string): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

test('Jaeger stopped under load: no request fails and drops are counted; back again: new traces arrive', {
  skip: jaeger.skip,
}, async (t) => {
  const ports = await choosePorts();
  let child = await startJaeger(jaeger.path as string, ports);
  t.after(() => stopJaeger(child));
  const backend = await httpBackend((_request, response) => response.end('ok'));
  const port = await freePort();
  const config = `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${backend.port} }] }]
tracing: { sampling: 100%, otlp: { endpoint: http://127.0.0.1:${ports.otlp} } }
workers: 2
`;
  await withNode(config, async (node) => {
    const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
    const failures: string[] = [];
    let requests = 0;
    const call = (headers: Record<string, string> = {}): Promise<void> =>
      new Promise((resolve) => {
        requests++;
        const request = httpRequest({ host: '127.0.0.1', port, agent, headers }, (response) => {
          response.resume();
          response.on('end', resolve);
          if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
        });
        request.on('error', (error) => {
          failures.push(error.message);
          resolve();
        });
        request.end();
      });
    /** A request of a trace of our own, which must show up with its server span and its attempt. */
    const traced = async (): Promise<void> => {
      const traceId = randomBytes(16).toString('hex');
      await call({ traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` });
      await traceOf(ports, traceId, 2);
    };
    const metrics = async (): Promise<string> => (await node.admin('/metrics')).text();

    await traced();
    let stop = false;
    const load = Array.from({ length: CLIENTS }, async () => {
      while (!stop) await call();
    });
    try {
      await stopJaeger(child);
      await eventually(
        'drops are counted',
        async () => metric(await metrics(), 'outboard_spans_dropped_total') > 0,
      );
    } finally {
      stop = true;
      await Promise.all(load);
    }
    const dropped = metric(await metrics(), 'outboard_spans_dropped_total');
    const exported = async (): Promise<number> => metric(await metrics(), 'outboard_spans_exported_total');
    const before = await exported();
    child = await startJaeger(jaeger.path as string, ports);
    await eventually('spans are accepted again', async () => {
      await call();
      return (await exported()) > before;
    });
    await traced();
    agent.destroy();
    assert.deepEqual(failures, []);
    t.diagnostic(
      `${requests} requests, none failed; ${dropped} spans dropped and counted while Jaeger was gone`,
    );
  });
  await backend.close();
});
