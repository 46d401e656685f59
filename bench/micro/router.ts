/**
 * What routing costs: compiling 5,000 hosts, recompiling when one route changed, and look-ups among 5,000
 * hosts, among 1,000 prefixes of one host, and with header conditions. `node bench/micro/router.ts`
 */
import type { RouteConfig, Snapshot } from '../../src/config/index.ts';
import { compileRouter, normalizePath, type Router } from '../../src/dataplane/router/index.ts';
import { request, route, snapshot } from '../../test/router/kit.ts';

const ROUTES = 5_000;
const PREFIXES = 1_000;
const LOOKUPS = 1_000_000;

const hosts = Array.from({ length: ROUTES }, (_, i) =>
  route({ name: `r${i}`, hostnames: [`svc-${i}.shop.example`], rules: [{ name: `r${i}/0` }] }),
);
const prefixes = route({
  name: 'prefixes',
  hostnames: ['api.shop.example'],
  rules: Array.from({ length: PREFIXES }, (_, i) => ({
    name: `p${i}`,
    matches: [{ path: `/v1/things-${i}/items` }, { path: `/v1/things-${i}`, headers: ['x-canary: yes'] }],
  })),
});
const all: RouteConfig[] = [...hosts, prefixes];

let router = timeOnce(`compile ${ROUTES} hosts and ${PREFIXES} prefixes`, () => compile(snapshot(all), null));
const changed = all.with(
  17,
  route({ name: 'r17', hostnames: ['svc-17.shop.example'], rules: [{ name: 'new' }] }),
);
router = timeOnce('recompile with one route changed', () => compile(snapshot(changed), router));
for (let i = 0; i < 5; i++)
  compile(snapshot(all.with(i, route({ name: 'x', rules: [{ name: 'x' }] }))), router);
timeOnce('recompile with one route changed, warm', () => compile(snapshot(all), router));

const targets = Array.from({ length: 1_024 }, (_, i) => `/v1/things-${i % PREFIXES}/items/${i}?page=${i}`);
const plain = Array.from({ length: 1_024 }, (_, i) => `/cart/${i}/items/product-${i}`);
lookups(`one of ${ROUTES} hosts`, plain, (i) => `svc-${(i * 7) % ROUTES}.shop.example`);
lookups(`one of ${ROUTES} hosts, with a port`, plain, (i) => `svc-${(i * 7) % ROUTES}.shop.example:8080`);
lookups(`one of ${PREFIXES} prefixes`, targets, () => 'api.shop.example');

for (const mode of ['BASE', 'DECODE_AND_MERGE_SLASHES'] as const) {
  perOperation(
    `normalise a plain path, ${mode}`,
    (i) => normalizePath(plain[i & 1_023] as string, mode).path.length,
  );
}
const awkward = plain.map((path) => `${path}/../%7euser//x`);
perOperation(
  'normalise an awkward path, BASE',
  (i) => normalizePath(awkward[i & 1_023] as string, 'BASE').path.length,
);

function compile(config: Snapshot, previous: Router<null> | null): Router<null> {
  return compileRouter(config, previous, () => null);
}

function lookups(what: string, paths: readonly string[], host: (i: number) => string): void {
  const heads = paths.map((path, i) => request(path, host(i), 'accept: */*', 'user-agent: bench'));
  const ready = paths.map((path) => normalizePath(path, 'BASE'));
  perOperation(what, (i) => {
    const at = i & 1_023;
    const rule = router.match('web', heads[at] as (typeof heads)[0], ready[at] as (typeof ready)[0]);
    return rule === null ? 0 : 1;
  });
}

function perOperation(what: string, operation: (i: number) => number): void {
  let sink = 0;
  for (let i = 0; i < LOOKUPS / 10; i++) sink += operation(i);
  const start = performance.now();
  for (let i = 0; i < LOOKUPS; i++) sink += operation(i);
  const ns = ((performance.now() - start) * 1e6) / LOOKUPS;
  console.log(`${what.padEnd(48)} ${ns.toFixed(0).padStart(6)} ns${sink === 0 ? ' (nothing matched)' : ''}`);
}

function timeOnce<T>(what: string, run: () => T): T {
  const start = performance.now();
  const result = run();
  console.log(`${what.padEnd(48)} ${(performance.now() - start).toFixed(1).padStart(6)} ms`);
  return result;
}
