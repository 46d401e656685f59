/** A node that runs out of descriptors or memory, in the real process. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type RunningNode, withNode } from '../kit/node.ts';
import { freePort, until } from '../kit/proxy.ts';
import { httpBackend, RawClient } from '../kit/raw.ts';

const ASK = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function metric(node: RunningNode, name: string): Promise<number> {
  const text = await (await node.admin('/metrics')).text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

test('with 160 descriptors and 300 clients, those it takes are served and the others closed', async () => {
  let holds = false;
  const held: (() => void)[] = [];
  const backend = await httpBackend((_request, response) => {
    if (holds) held.push(() => response.end('ok'));
    else response.end('ok');
  });
  const port = await freePort();
  const config = `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ backendRefs: [{ name: a }] }] }]
services: [{ name: a, endpoints: [{ address: 127.0.0.1:${backend.port} }], outlierDetection: {} }]
workers: 2
`;
  await withNode(
    config,
    async (node) => {
      const clients = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(port)));
      const taken = (): RawClient[] => clients.filter(({ closed, ended }) => !closed && !ended);
      // Every connection was looked at, and those whose were refused know it.
      const lookedAt = async (): Promise<boolean> => {
        const accepted = await metric(node, 'envoy_listener_downstream_cx_total');
        const refused = await metric(node, 'outboard_listener_downstream_cx_no_descriptor_total');
        return accepted + refused === clients.length && taken().length === accepted;
      };
      while (!(await lookedAt()));
      const open = taken();
      assert.ok(open.length > 40, `${open.length} are open`);
      // The reserve reaches the endpoint, however many clients there are.
      for (const client of open.slice(0, 20)) {
        client.send(ASK);
        assert.equal((await client.until((text) => text.endsWith('ok'))).slice(9, 12), '200');
      }
      // All at once are more than it can reach: they are told so, and nobody blames the endpoint.
      holds = true;
      for (const client of open) {
        client.text = '';
        client.send(ASK);
      }
      const lacking = (): number => open.filter(({ text }) => text.includes('no-descriptor (OM)')).length;
      const answered = (): number => open.filter(({ text }) => text.includes('\r\n\r\n')).length;
      await until(() => held.length + answered() >= open.length, 'each is at the endpoint or refused');
      assert.ok(lacking() > 5 && held.length > 20, `${lacking()} refused, ${held.length} at the endpoint`);
      holds = false;
      for (const answer of held) answer();
      await until(() => answered() === open.length, 'all answers');
      await node.said(/descriptors are used up: new connections are closed at once/);
      const said = node.output().match(/descriptors are used up/g)?.length ?? 0;
      assert.ok(said <= 2, `each worker says it once, not ${said} times`);
      for (const client of clients) client.destroy();
      const [cluster] = (await (await node.admin('/clusters')).json()) as {
        endpoints: { outlier: string; ejections: number }[];
      }[];
      assert.deepEqual(
        cluster?.endpoints.map(({ outlier, ejections }) => [outlier, ejections]),
        [['healthy', 0]],
      );
      const again = await RawClient.connect(port);
      again.send(ASK);
      await again.until((text) => text.endsWith('ok'));
      again.destroy();
    },
    {},
    160,
  );
  await backend.close();
});

test('a memory limit that is reached: /overload, /ready, metrics and log say so, and say when it is over', async () => {
  const port = await freePort();
  const config = (maxMemoryBytes: number): string => `
listeners: [{ name: web, address: 127.0.0.1:${port} }]
routes: [{ name: all, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200, body: ok } }] }] }]
workers: 2
overloadManager:
  refreshInterval: 50ms
  resourceMonitors: { memory: { maxMemoryBytes: ${maxMemoryBytes} }, eventLoop: { enabled: false } }
  actions: { rejectIncomingConnections: [] }
`;
  await withNode(config(67_108_864), async (node) => {
    await node.said(/"action":"stopAcceptingRequests".*"msg":"overload action begins"/);
    let view = await overloadOf(node);
    const refusing = ({ workers }: View): boolean =>
      workers.every(({ actions }) =>
        actions.some(({ name, state }) => name === 'stopAcceptingRequests' && state === 1),
      );
    while (!refusing(view)) view = await overloadOf(node);
    const memory = view.resources.find(({ name }) => name === 'memory');
    assert.ok(memory && memory.pressure >= 1 && memory.used > memory.max && memory.max === 67_108_864);
    for (const { actions } of view.workers)
      assert.deepEqual(
        actions.filter(({ state }) => state === 1).map(({ name }) => name),
        ['shrinkHeap', 'reduceTimeouts', 'disableHttpKeepalive', 'stopAcceptingRequests'],
      );
    const refused = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /overload \(OM\)/);
    const ready = await node.admin('/ready');
    assert.equal(ready.status, 200, 'it is as ready as it will be');
    assert.match(await ready.text(), /^overloaded\n(.*\n)*worker 0: stopAcceptingRequests 100 %/);
    const active = 'envoy_overload_envoy_overload_actions_stop_accepting_requests_active';
    assert.equal(await metric(node, active), 2);
    await reload(node, config(8_589_934_592));
    await node.said(/"action":"stopAcceptingRequests".*"msg":"overload action ends"/);
    while ((await (await node.admin('/ready')).text()).startsWith('overloaded'));
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    assert.equal(await metric(node, active), 0);
    assert.match(await (await node.admin('/ready')).text(), /^ready/);
  });
});

interface View {
  readonly enabled: boolean;
  readonly resources: readonly { name: string; pressure: number; used: number; max: number }[];
  readonly workers: readonly { actions: readonly { name: string; state: number }[] }[];
}

async function overloadOf(node: RunningNode): Promise<View> {
  return (await (await node.admin('/overload')).json()) as View;
}

async function reload(node: RunningNode, yaml: string): Promise<void> {
  const admin = new URL(node.adminUrl).host;
  writeFileSync(node.configFile, `${yaml}\nadmin: { address: ${admin} }\n`);
  await node.said(/"version":2.*"msg":"configuration in force"/);
}
