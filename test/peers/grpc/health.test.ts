/** grpc.health.v1: an endpoint that says it is not serving gets no calls, and gets them again when it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withNode } from '../../kit/node.ts';
import { freePort } from '../../kit/proxy.ts';
import { STACKS, skip, withServers } from './pairs.ts';
import type { GrpcServer } from './service.ts';

const CALLS = 20;
const CHECK_MS = 100;
const PATIENCE_MS = 20_000;

test('gRPC health checks take out servers of either stack and take them in', { skip }, () =>
  withServers({}, async (servers) => {
    const port = await freePort();
    const endpoints = [...servers.values()].map((server) => `{ address: 127.0.0.1:${server.port} }`);
    const yaml = `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services:
  - name: a
    protocol: grpc
    endpoints: [${endpoints.join(', ')}]
    healthCheck: { grpc: {}, interval: ${CHECK_MS}ms, healthyThreshold: 1, unhealthyThreshold: 1 }
workers: 2
`;
    await withNode(yaml, async () => {
      const stack = STACKS[0] as (typeof STACKS)[number];
      const client = await stack.connect({ port });
      let round = 0;
      /** Calls in rounds until the servers that got one are exactly these. */
      const served = async (expected: readonly GrpcServer[]): Promise<void> => {
        const deadline = performance.now() + PATIENCE_MS;
        for (;;) {
          round++;
          const names = Array.from({ length: CALLS }, (_, n) => `health-${round}-${n}`);
          const results = await Promise.all(
            names.map((name) => client.start(name, { method: 'Unary', sizes: [1] }).result),
          );
          assert.ok(
            results.every(({ code }) => code === 0),
            'every call is answered',
          );
          const took = [...servers.values()].filter((server) =>
            names.some((name) => server.events.of(name, 'begin').length > 0),
          );
          if (took.length === expected.length && took.every((server) => expected.includes(server))) return;
          assert.ok(performance.now() < deadline, `${took.length} servers take calls`);
          await sleep(CHECK_MS);
        }
      };
      const all = [...servers.values()];
      try {
        await served(all);
        for (const sick of all) {
          sick.setHealth(false);
          await served(all.filter((server) => server !== sick));
          sick.setHealth(true);
          await served(all);
        }
      } finally {
        await client.close();
      }
    });
  }),
);
