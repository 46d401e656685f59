/**
 * The shop's one program; its argument says which service it is: `web`, `cart` or `stock`. Settings are environment
 * variables, as containers have them:
 *
 *   SHOP_HOST, SHOP_PORT     where it listens (0.0.0.0 and 8080)
 *   SHOP_REPLICA             what it calls itself (its role)
 *   SHOP_NEXT, SHOP_NEXT_HOST  the URL of the next service, and the Host to call it by where that differs
 *   SHOP_TRACE_URL           where people read a trace, e.g. http://127.0.0.1:16686/trace/{id}
 *   SHOP_FAILING             share of requests that stock answers with 503 (0)
 *   SHOP_SLOW_MS             what stock takes for a request, "300-600" (0)
 *   SHOP_CONCURRENCY         requests that stock works on at a time (1000)
 *   SHOP_SEED                of its randomness (1)
 *
 * Started as a child with an IPC channel, it reports `{ listening }` or `{ error }` there and ends with its
 * parent, however that ends.
 */
import type { AddressInfo } from 'node:net';
import { cart } from './cart.ts';
import { type Handler, type Next, serve } from './http.ts';
import { stock } from './stock.ts';
import { web } from './web.ts';

/** What a child tells its parent. */
export type ShopReport = { readonly listening: number } | { readonly error: string };

const env = process.env;
const role = process.argv[2] ?? '';
const handler = handlerOf(role);

if (handler === null) {
  process.stderr.write('usage: main.ts web|cart|stock\n');
  process.exitCode = 2;
  process.disconnect?.();
} else {
  run(handler);
}

function run(handler: Handler): void {
  const server = serve(handler);
  const host = env.SHOP_HOST ?? '0.0.0.0';
  const port = Number(env.SHOP_PORT ?? 8080);
  server.on('error', (error) => {
    tell({ error: error.message });
    process.exitCode = 1;
    process.disconnect?.();
  });
  server.listen(port, host, () => tell({ listening: (server.address() as AddressInfo).port }));

  const end = (): void => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  };
  process.on('SIGTERM', end);
  if (process.channel) {
    // Ctrl-C reaches the whole terminal group; the shop stays up until its parent has drained.
    process.on('SIGINT', () => {});
    process.on('disconnect', () => process.exit());
  } else {
    process.on('SIGINT', end);
  }
}

function handlerOf(role: string): Handler | null {
  const replica = env.SHOP_REPLICA ?? role;
  const next: Next = { url: env.SHOP_NEXT ?? '', host: env.SHOP_NEXT_HOST };
  if (role === 'web') return web({ cart: next, traceUrl: env.SHOP_TRACE_URL ?? null });
  if (role === 'cart') return cart(replica, next);
  if (role !== 'stock') return null;
  const [least = 0, most = least] = (env.SHOP_SLOW_MS ?? '0').split('-').map(Number);
  return stock({
    replica,
    failing: Number(env.SHOP_FAILING ?? 0),
    slowMs: [least, most],
    concurrency: Number(env.SHOP_CONCURRENCY ?? 1000),
    seed: Number(env.SHOP_SEED ?? 1),
  });
}

function tell(report: ShopReport): void {
  if (process.send) process.send(report);
  else process.stdout.write(`${JSON.stringify({ role, ...report })}\n`);
}
