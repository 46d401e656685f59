/** The demo's shop, without a proxy: what its programs answer, what they pass on, and that none is left behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { cart } from '../../src/cli/demo/shop/cart.ts';
import { type Call, type Handler, json, type Next, serve } from '../../src/cli/demo/shop/http.ts';
import { stock } from '../../src/cli/demo/shop/stock.ts';
import { web } from '../../src/cli/demo/shop/web.ts';

const CALM = { replica: 'stock-1', failing: 0, slowMs: [0, 0] as const, concurrency: 9, seed: 1 };

async function start(t: TestContext, handler: Handler): Promise<Next & { server: Server }> {
  const server = serve(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, host: undefined, server };
}

function get(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { headers: { connection: 'close', ...headers } });
}

test('the page shows the stock that web got by way of cart', async (t) => {
  const shelf = await start(t, stock(CALM));
  const basket = await start(t, cart('cart-1', shelf));
  const page = await start(t, web({ cart: basket, traceUrl: 'http://traces/{id}' }));
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const answer = await get(page.url, { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  const html = await answer.text();
  assert.equal(answer.status, 200);
  assert.match(html, /<td>apples<td>12<td>stock-1<td>1<td>200/);
  assert.match(html, new RegExp(`href="http://traces/${traceId}"`));
});

test('the page answers 200 when stock fails, and when cart is gone', async (t) => {
  const shelf = await start(t, stock({ ...CALM, failing: 1 }));
  const basket = await start(t, cart('cart-1', shelf));
  const page = await start(t, web({ cart: basket, traceUrl: null }));
  const degraded = await get(page.url);
  assert.equal(degraded.status, 200);
  assert.match(await degraded.text(), /<td>bread<td>unknown<td>stock-1/);

  const lost = await start(t, web({ cart: { url: 'http://127.0.0.1:1', host: undefined }, traceUrl: null }));
  const alone = await get(lost.url);
  assert.equal(alone.status, 200);
  assert.match(await alone.text(), /The cart is away \(no answer\)/);
});

test('trace headers, the request id and the name to call by are passed on; others are not', async (t) => {
  const seen: Call[] = [];
  const shelf = await start(t, (call) => {
    seen.push(call);
    return json(200, {});
  });
  const basket = await start(t, cart('cart-1', { url: shelf.url, host: 'stock.shop' }));
  const kept = { 'x-request-id': 'r1', traceparent: '00-1-2-01', b3: '0', 'uber-trace-id': '1:2:0:1' };
  await get(`${basket.url}/cart`, { ...kept, 'x-private': 'no' });
  assert.equal(seen.length, 3);
  for (const { headers } of seen) {
    for (const [name, value] of Object.entries(kept)) assert.equal(headers[name], value);
    assert.equal(headers.host, 'stock.shop');
    assert.equal(headers['x-private'], undefined);
  }
});

test('a retried request is answered where its first attempt fails on purpose', async (t) => {
  const shelf = await start(t, stock(CALM));
  assert.equal((await get(`${shelf.url}/stock/apples?fail=first`)).status, 503);
  const again = await get(`${shelf.url}/stock/apples?fail=first`, { 'x-envoy-attempt-count': '2' });
  assert.deepEqual(await again.json(), { item: 'apples', left: 12, replica: 'stock-1', attempt: 2 });
});

test('a failing replica fails the stated share, the same way in every run', async (t) => {
  const run = async (): Promise<number[]> => {
    const shelf = await start(t, stock({ ...CALM, failing: 0.33, seed: 7 }));
    const statuses: number[] = [];
    for (let i = 0; i < 60; i += 1) statuses.push((await get(`${shelf.url}/stock/bread`)).status);
    return statuses;
  };
  const first = await run();
  assert.deepEqual(await run(), first);
  const failed = first.filter((status) => status === 503).length;
  assert.ok(failed >= 12 && failed <= 28, `${failed} of 60 failed`);
});

test('a replica works on no more than it may, and refuses when its queue is full', async () => {
  const handler = stock({ ...CALM, concurrency: 2, slowMs: [1, 1] });
  const call: Call = { url: new URL('http://shop/audit'), method: 'GET', headers: {} };
  const replies = await Promise.all(Array.from({ length: 100 }, () => handler(call)));
  // 2 at work and 64 waiting.
  assert.equal(replies.filter(({ status }) => status === 200).length, 66);
  assert.equal(replies.filter(({ status }) => status === 503).length, 34);
});

test('health is asked without a word to the handler; other methods and odd paths are refused', async (t) => {
  const shelf = await start(t, stock(CALM));
  assert.equal(await (await get(`${shelf.url}/healthz`)).text(), 'ok\n');
  assert.equal((await get(`${shelf.url}/stock/nothing`)).status, 404);
  assert.equal((await get(`${shelf.url}/stock/toString`)).status, 404);
  assert.equal((await fetch(`${shelf.url}/stock/bread`, { method: 'POST' })).status, 405);
});
