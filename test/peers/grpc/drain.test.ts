/** Connections that come to their end on either side of the proxy: clients see no call fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withNode } from '../../kit/node.ts';
import { freePort, until } from '../../kit/proxy.ts';
import { STACKS, withServer } from './pairs.ts';
import type { CallSpec, GrpcClient, GrpcServer, Stack } from './service.ts';

/** Each of the two workers once. */
const RESTARTS = 2;
const CONNECTION_AGE_MS = 100;
/** Calls in a row while connections age; they take longer than several ages together. */
const CALLS = 600;
/** Longer than a connection's age, shorter than a drain. */
const LONG_MS = 700;

/** In flight while its connection ends: waits first, then streams. */
const LONG: CallSpec = {
  method: 'Produce',
  sizes: [1],
  metadata: { 'x-delay-ms': String(LONG_MS), 'x-count': '50', 'x-size': '1000' },
};
const SHORT: CallSpec = { method: 'Unary', sizes: [100] };

let calls = 0;

/** Makes calls of this kind; each one that did not end well goes to `failures`. */
async function make(client: GrpcClient, spec: CallSpec, failures: string[]): Promise<void> {
  const { code, message, received } = await client.start(`drain-${++calls}`, spec).result;
  const expected = Number(spec.metadata?.['x-count'] ?? 1);
  if (code !== 0 || received.length !== expected)
    failures.push(`${spec.method}: ${code} ${message}, ${received.length} messages`);
}

/** Calls one after the other until told to stop; resolves with their number. */
function keepCalling(client: GrpcClient, failures: string[]): () => Promise<number> {
  let stop = false;
  const loop = (async () => {
    let made = 0;
    for (; !stop; made++) await make(client, SHORT, failures);
    return made;
  })();
  return () => {
    stop = true;
    return loop;
  };
}

function config(port: number, servers: readonly GrpcServer[], service = ''): string {
  const endpoints = servers.map((server) => `{ address: 127.0.0.1:${server.port} }`).join(', ');
  return `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services: [{ name: a, protocol: grpc, endpoints: [${endpoints}]${service} }]
workers: 2
`;
}

async function withClient<T>(
  stack: Stack,
  port: number,
  use: (client: GrpcClient) => Promise<T>,
): Promise<T> {
  const client = await stack.connect({ port });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

for (const stack of STACKS) {
  const { name, skip } = stack;

  test(`${name}: planned restarts of workers fail no call`, { skip }, async (t) => {
    const port = await freePort();
    const failures: string[] = [];
    await withServer(stack, (server) =>
      withNode(config(port, [server]), (node) =>
        withClient(stack, port, async (client) => {
          const end = keepCalling(client, failures);
          for (let n = 0; n < RESTARTS; n++) {
            const long = make(client, LONG, failures);
            const answer = await node.admin(`/workers/${n}/restart`, 'POST');
            assert.ok(answer.ok, await answer.text());
            await long;
          }
          t.diagnostic(`${await end()} calls beside ${RESTARTS} restarts`);
        }),
      ),
    );
    assert.deepEqual(failures, []);
  });

  test(`${name}: the proxy is told to stop: calls under way end well`, { skip }, async () => {
    const port = await freePort();
    const failures: string[] = [];
    await withServer(stack, (server) =>
      withNode(config(port, [server]), (node) =>
        withClient(stack, port, async (client) => {
          const before = calls;
          const long = make(client, LONG, failures);
          await server.events.first(`drain-${before + 1}`, 'begin');
          await Promise.all([long, node.stop()]);
        }),
      ),
    );
    assert.deepEqual(failures, []);
  });

  test(`${name}: connections that the server ends by age fail no call`, { skip }, async (t) => {
    const port = await freePort();
    const failures: string[] = [];
    const options = { connectionAgeMs: CONNECTION_AGE_MS };
    await withServer(
      stack,
      (server) =>
        withNode(config(port, [server]), async (node) => {
          await withClient(stack, port, async (client) => {
            const long: Promise<void>[] = [];
            for (let n = 0; n < CALLS; n++) {
              if (n % 100 === 0) long.push(make(client, LONG, failures));
              await make(client, SHORT, failures);
            }
            await Promise.all(long);
          });
          const metrics = await (await node.admin('/metrics')).text();
          const connections = Number(/^\w*upstream_cx_total\{.* (\d+)$/m.exec(metrics)?.[1]);
          t.diagnostic(`${CALLS} calls over ${connections} connections`);
          assert.ok(connections > 2, 'connections have aged');
        }),
      options,
    );
    assert.deepEqual(failures, []);
  });

  test(`${name}: a server that stops gracefully fails no call while another is there`, {
    skip,
  }, async (t) => {
    const port = await freePort();
    const failures: string[] = [];
    await withServer(stack, (leaving) =>
      withServer(stack, (staying) => {
        // Whatever is sent to the one that has gone is sent again: more often than a budget allows.
        const yaml = config(port, [leaving, staying], ', retryBudget: off');
        return withNode(yaml, () =>
          withClient(stack, port, async (client) => {
            const end = keepCalling(client, failures);
            const long = Array.from({ length: 4 }, () => make(client, LONG, failures));
            await until(() => leaving.events.size > 0, 'a call at the server that leaves');
            await leaving.stop();
            await Promise.all(long);
            t.diagnostic(`${await end()} calls`);
          }),
        );
      }),
    );
    assert.deepEqual(failures, []);
  });
}
