/** What a gRPC status says of an endpoint, and what the endpoint itself says with its answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AVAILABLE, attachLedger, type EndpointReading, RESULT } from '../../src/ledger/index.ts';
import { type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, type RawBackend, RawClient, rawBackend } from '../kit/raw.ts';
import {
  answered,
  CALL_BODY,
  callHead,
  chunk,
  complete,
  frame,
  makeCall,
  trailersOnly,
} from './grpc-calls.ts';

const ONCE = 'retry: { attempts: 0 }';
const DETECT =
  'outlierDetection: { consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, baseEjectionTime: 50ms, maxEjectionTime: 50ms }';

/** Answers every call of every connection with `next()`. */
function endpoint(next: () => string): Promise<RawBackend> {
  return rawBackend((upstream) => {
    const serve = (): void => {
      upstream.text = '';
      upstream.until(complete).then(
        () => {
          upstream.send(next());
          serve();
        },
        () => {},
      );
    };
    serve();
  });
}

async function withEndpoint(
  next: () => string,
  use: (proxy: TestProxy, reading: () => EndpointReading, results: () => number[]) => Promise<void>,
  service = DETECT,
): Promise<void> {
  const backend = await endpoint(next);
  const config = oneService([backend.port], { rule: ONCE, service });
  await withProxy(config, async (proxy) => {
    const slot = proxy.endpointSlot('a', backend.port);
    const { endpoints } = proxy.ledger;
    const nowMs = (): number => attachLedger(proxy.ledger.buffers, 0).nowMs();
    await use(
      proxy,
      () => endpoints.read(slot, nowMs()),
      () => [...endpoints.takeResults(slot)],
    );
  });
  await backend.close();
}

for (const [name, answer] of [
  ['of an answer that is all head', trailersOnly],
  ['in the trailers', (status: number) => answered(status, 'one')],
] as const)
  test(`a status ${name} counts as the HTTP status that Envoy maps it to`, async () => {
    let status = 0;
    await withEndpoint(
      () => answer(status),
      async (proxy, reading, results) => {
        const counted: [number, number][] = [];
        for (let code = 0; code <= 16; code++) {
          status = code;
          await makeCall(proxy);
          const { consecutive5xx, consecutiveGatewayErrors } = reading();
          counted.push([consecutive5xx, consecutiveGatewayErrors]);
          status = 0;
          await makeCall(proxy);
        }
        counted.forEach((found, code) => {
          const gateway = code === 4 || code === 14;
          const other = [2, 12, 13, 15].includes(code);
          assert.deepEqual(found, [gateway || other ? 1 : 0, gateway ? 1 : 0], `grpc-status ${code}`);
        });
        assert.deepEqual(results(), [11 + 17, 4, 2, 0]);
      },
    );
  });

test('a call that answers 200 with UNAVAILABLE in its trailers ejects as a gateway error', async () => {
  await withEndpoint(
    () => answered(14),
    async (proxy, reading) => {
      await makeCall(proxy);
      assert.equal(reading().state, 'healthy');
      await makeCall(proxy);
      assert.equal(reading().state, 'ejected');
      assert.deepEqual(reading().finding, {
        detector: 'CONSECUTIVE_GATEWAY_FAILURE',
        observed: 2,
        threshold: 2,
      });
      await proxy.recorded();
      assert.deepEqual(
        proxy.decisions.map(({ attempts }) => attempts[0]?.ejectedEndpoint),
        [false, true],
      );
    },
  );
});

test('an answer of 200 without any status is one that no client takes for success', async () => {
  await withEndpoint(
    () => 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nContent-Length: 0\r\n\r\n',
    async (proxy, reading) => {
      await makeCall(proxy);
      assert.deepEqual([reading().consecutive5xx, reading().consecutiveGatewayErrors], [1, 0]);
    },
  );
});

test("DEADLINE_EXCEEDED says nothing of an endpoint that keeps to its caller's deadline", async () => {
  await withEndpoint(
    () => trailersOnly(4),
    async (proxy, reading, results) => {
      await makeCall(proxy, 'grpc-timeout: 5S');
      assert.equal(reading().consecutiveGatewayErrors, 0);
      assert.deepEqual(results(), [0, 0, 0, 0]);
      await makeCall(proxy);
      assert.equal(reading().consecutiveGatewayErrors, 1);
    },
  );
});

test('a stream that its client leaves counts as answered, one that is cut off as unanswered', async () => {
  const begun = answered(0, 'one').replace(/0\r\ngrpc[\s\S]*/, '');
  const backend = await rawBackend((upstream) => {
    void upstream.until(complete).then(() => {
      upstream.send(begun);
      if (upstream.text.includes('cut-me')) upstream.destroy();
    });
  });
  await withProxy(oneService([backend.port], { rule: ONCE, service: DETECT }), async (proxy) => {
    const slot = proxy.endpointSlot('a', backend.port);
    const results = (): number[] => [...proxy.ledger.endpoints.takeResults(slot)];
    const client = await RawClient.connect(proxy.port);
    client.send(callHead() + CALL_BODY);
    await client.until((text) => text.includes(frame('one')));
    assert.deepEqual(results(), [0, 0, 0, 0], 'how it goes is not known yet');
    client.destroy();
    await until(() => proxy.active === 0, 'the call is over');
    assert.equal(results()[RESULT.success], 1);
    const other = await RawClient.connect(proxy.port);
    await other.send(callHead('x-what: cut-me') + CALL_BODY).untilClosed();
    assert.deepEqual(results(), [0, 0, 0, 1]);
  });
  await backend.close();
});

test('a probe that begins to answer ends the ejection, however long its stream goes on', async () => {
  let answer = trailersOnly(14);
  const backend = await endpoint(() => answer);
  await withProxy(oneService([backend.port], { rule: ONCE, service: DETECT }), async (proxy) => {
    const slot = proxy.endpointSlot('a', backend.port);
    const table = attachLedger(proxy.ledger.buffers, 0);
    const availability = (): number => table.endpoints.availability(slot, table.nowMs());
    await makeCall(proxy);
    await makeCall(proxy);
    assert.notEqual(availability(), AVAILABLE.yes);
    await until(() => availability() === AVAILABLE.probe, 'the ejection is over');
    answer = answered(0, 'one').replace(/0\r\ngrpc[\s\S]*/, '');
    const client = await RawClient.connect(proxy.port);
    client.send(callHead() + CALL_BODY);
    await client.until((text) => text.includes(frame('one')));
    assert.equal(availability(), AVAILABLE.yes);
    backend.accepted.at(-1)?.send(`${chunk(frame('two'))}0\r\ngrpc-status: 14\r\n\r\n`);
    await until(() => proxy.active === 0, 'the call is over');
    assert.equal(proxy.ledger.endpoints.read(slot, 0).consecutiveGatewayErrors, 1, 'its status counts too');
    client.destroy();
  });
  await backend.close();
});

test('x-envoy-immediate-health-check-fail takes an endpoint out where active checks can bring it back', async () => {
  for (const [service, out] of [
    ['healthCheck: {}', true],
    ['', false],
  ] as const) {
    const going = await httpBackend((_request, response) =>
      response.writeHead(200, { 'x-envoy-immediate-health-check-fail': 'true' }).end('last words'),
    );
    const staying = await httpBackend((_request, response) => response.end('ok'));
    const config = oneService([going.port, staying.port], {
      rule: ONCE,
      service: `loadBalancer: { policy: round-robin }\npanicThreshold: 0\n${service}`,
    });
    await withProxy(config, async (proxy) => {
      const get = async (): Promise<string> => (await fetch(`http://127.0.0.1:${proxy.port}/`)).text();
      const answers: string[] = [];
      for (let i = 0; i < 8; i++) answers.push(await get());
      assert.equal(answers.filter((text) => text === 'last words').length, out ? 1 : 4);
    });
    await Promise.all([going.close(), staying.close()]);
  }
});
