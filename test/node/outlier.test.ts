/** An endpoint that fails is found by all workers together, and comes back by one real request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withNode } from '../kit/node.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend, RawClient } from '../kit/raw.ts';

const THRESHOLD = 5;
const EJECTIONS = 4;

interface Cluster {
  readonly endpoints: readonly { readonly address: string; readonly ejections: number }[];
}

async function statusOf(port: number): Promise<number> {
  const client = await RawClient.connect(port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const text = await client.untilEnd();
  client.destroy();
  return Number(text.slice(9, 12));
}

test('4 workers, 1 of 3 endpoints answers 500: 5 failures to the first ejection, 1 for each probe', async (t) => {
  const good = await Promise.all([0, 1].map(() => httpBackend((_request, response) => response.end('good'))));
  let failing = true;
  const bad = await httpBackend((_request, response) => response.writeHead(failing ? 500 : 200).end());
  const port = await freePort();
  const endpoints = [...good, bad].map((backend) => `{ address: 127.0.0.1:${backend.port} }`).join(', ');
  const config = `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }], retry: { attempts: 0 } }] }]
services:
  - name: a
    endpoints: [${endpoints}]
    loadBalancer: { policy: round-robin }
    outlierDetection: { consecutive5xxErrors: ${THRESHOLD}, baseEjectionTime: 100ms, maxEjectionCount: 1 }
workers: 4
`;
  await withNode(config, async (node) => {
    let failures = 0;
    const most = THRESHOLD + EJECTIONS - 1;
    // Serial calls, each on a connection of its own, until the probes of three ejections have failed too.
    while (failures < most) if ((await statusOf(port)) === 500) failures++;
    assert.equal(bad.requests.length, failures, 'the endpoint was asked nothing else');
    const clusters = (await (await node.admin('/clusters')).json()) as Cluster[];
    const endpoint = clusters[0]?.endpoints.find(({ address }) => address.endsWith(`:${bad.port}`));
    assert.equal(
      endpoint?.ejections,
      EJECTIONS,
      'every failure after the first ejection was a probe and ejected again',
    );
    failing = false;
    const before = bad.requests.length;
    while (bad.requests.length < before + 20) assert.equal(await statusOf(port), 200);
    t.diagnostic(`${failures} failures: ${THRESHOLD} to the first ejection, then ${EJECTIONS - 1} probes`);
  });
  await Promise.all([...good, bad].map((backend) => backend.close()));
});
