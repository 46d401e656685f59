/** A planned restart of a worker: the successor listens first, and the old one answers what it has begun. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { withNode } from '../kit/node.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';

const RESTARTS = 6;
const CLIENTS = 8;

/** Without it the kernel resets what waits in the accept queue of a socket that is closed. */
function migratesRequests(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'latin1').trim() === '1';
  } catch {
    return false;
  }
}

test(`${RESTARTS} planned restarts of workers under load fail no request`, async (t) => {
  const backend = await httpBackend((_request, response) => response.end('ok'));
  const port = await freePort();
  const config = `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${backend.port} }] }]
workers: 2
`;
  await withNode(config, async (node) => {
    let stop = false;
    let requests = 0;
    let freshResets = 0;
    const failures: string[] = [];
    const get = (agent: Agent): Promise<void> =>
      new Promise((resolve) => {
        requests++;
        const request = httpRequest({ host: '127.0.0.1', port, agent }, (response) => {
          response.resume();
          response.on('end', resolve);
          if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
        });
        request.on('error', (error: NodeJS.ErrnoException) => {
          if (!request.reusedSocket && error.code === 'ECONNRESET') freshResets++;
          else failures.push(`${request.reusedSocket ? 'reused' : 'fresh'} connection: ${error.code}`);
          resolve();
        });
        request.end();
      });
    const load = Array.from({ length: CLIENTS }, async (_, index) => {
      const kept = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!stop) await get(index % 2 === 0 ? kept : new Agent({ keepAlive: false }));
      kept.destroy();
    });
    try {
      for (let i = 0; i < RESTARTS; i++) {
        const answer = await node.admin(`/workers/${i % 2}/restart`, 'POST');
        assert.ok(answer.ok, await answer.text());
      }
    } finally {
      stop = true;
      await Promise.all(load);
    }
    assert.deepEqual(failures, []);
    if (migratesRequests()) assert.equal(freshResets, 0);
    t.diagnostic(
      `${requests} requests, ${freshResets} reset in the accept queue (tcp_migrate_req=${migratesRequests() ? 1 : 0})`,
    );
  });
  await backend.close();
});
