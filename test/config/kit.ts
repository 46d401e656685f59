/** What the tests of configuration share: loading a snippet, a ledger that only counts, random configurations. */
import assert from 'node:assert/strict';
import type { ConfigDraft, SlotOf } from '../../src/config/index.ts';
import { type Fault, type LoadOptions, loadConfig } from '../../src/config/load/index.ts';

const OPTIONS: LoadOptions = { directory: '/etc/outboard', processors: 4, fileReadable: () => true };

/** The draft of a configuration that has to be valid. */
export function draftOf(text: string, options: LoadOptions = {}): ConfigDraft {
  const result = loadConfig(text, 'c.yaml', { ...OPTIONS, ...options });
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.faults, null, 1));
  return result.draft;
}

/** Errors and warnings of a configuration, valid or not. */
export function faultsOf(text: string | Uint8Array, options: LoadOptions = {}): readonly Fault[] {
  const result = loadConfig(text, 'c.yaml', { ...OPTIONS, ...options });
  return result.ok ? result.warnings : result.faults;
}

/** Slots as the ledger gives them: a new number for a new key, always the same for a known one. */
export function slotAllocator(): SlotOf {
  const slots = new Map<string, number>();
  return (kind, key) => {
    const id = `${kind} ${key}`;
    const known = slots.get(id) ?? slots.size;
    slots.set(id, known);
    return known;
  };
}

/** A seeded generator (mulberry32): the same seed, the same configurations. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function limit(random: (below: number) => number): Record<string, unknown> {
  const pers = [undefined, { httpHeaderName: 'X-User' }, { httpCookieName: 'u' }, { workload: true }];
  const per = pers[random(4)];
  return {
    name: 'limit',
    requests: 1 + random(3),
    burst: 1 + random(9),
    ...(per === undefined ? {} : { per }),
  };
}

/** A valid configuration of up to a dozen members of each kind, as the data of its YAML. */
export function randomConfig(random: (below: number) => number): Record<string, unknown> {
  const some = <T>(make: (i: number) => T, most: number): T[] =>
    Array.from({ length: 12 }, (_, i) => i)
      .filter(() => random(12) < most)
      .sort(() => random(3) - 1)
      .map(make);
  const maybe = (key: string, value: unknown) => (random(2) === 0 ? { [key]: value } : {});
  const services = some(
    (i) => ({
      name: `s${i}`,
      ...(random(5) === 0
        ? { dns: `s${i}.local:80`, dnsLookupFamily: ['AUTO', 'ALL'][random(2)] }
        : {
            endpoints: Array.from({ length: 1 + random(6) }, (_, j) => ({
              address: random(4) === 0 ? `[fd00::${j}]:80` : `10.0.${i}.${j + random(2) * 8}:80`,
              weight: 1 + random(3),
              ...maybe('priority', random(3)),
              ...maybe('labels', { version: `v${random(3)}` }),
            })),
          }),
      ...maybe('protocol', ['auto', 'http', 'http2', 'grpc'][random(4)]),
      ...maybe('maxConnectionAge', '5m'),
      ...maybe('http2', { maxConcurrentStreams: 1 + random(200), keepaliveInterval: `${random(9)}s` }),
      ...maybe('connectTimeout', `${1 + random(4000)}ms`),
      ...maybe('retryBudget', random(2) === 0 ? 'off' : { percent: random(100) }),
      ...maybe('outlierDetection', {
        consecutive5xxErrors: random(9),
        baseEjectionTime: '20s',
        ...maybe('maxEjectionTimeJitter', `${random(9)}s`),
        ...maybe('minHealthPercent', random(60)),
        ...maybe('enforcingSuccessRate', random(100)),
      }),
      ...maybe(
        'healthCheck',
        [
          { path: `/h${random(3)}`, expectedStatuses: [200, '300-399'], unhealthyInterval: '1s' },
          { tcp: { receive: ['00ff', '01'] }, noTrafficInterval: '1m' },
          { tcp: { send: '50494e47' }, intervalJitter: '0s', alwaysLogHealthCheckFailures: true },
        ][random(3)],
      ),
      ...maybe('tls', { sni: `s${i}.shop`, caFile: 'ca.pem' }),
      ...maybe('proxyProtocol', ['v1', 'v2'][random(2)]),
      ...maybe('panicThreshold', random(100)),
      ...maybe('loadBalancer', { policy: 'round-robin', slowStart: { window: `${1 + random(90)}s` } }),
      ...maybe('rateLimits', [limit(random)]),
    }),
    8,
  );
  const backends = () =>
    services.length === 0 ? [] : [{ name: services[random(services.length)]?.name, weight: 1 + random(9) }];
  const l4 = random(2) === 0;
  const bytes = [{ name: 'bytes', weight: 1 + random(9) }];
  return {
    listeners: [
      { name: 'first', address: `127.0.0.1:${1000 + random(3)}` },
      ...some(
        (i) => ({
          name: `l${i}`,
          address: `[::1]:${2000 + i}`,
          ...maybe('protocol', ['http', 'http2'][random(2)]),
          ...maybe('trustedHops', random(3)),
          ...maybe('proxyProtocol', { trustedProxies: ['10.0.0.0/8'], optional: random(2) === 0 }),
          ...maybe('trustedCallers', ['10.0.0.0/8', 'fd00::/8', '127.0.0.1']),
          ...maybe('proxyHeaders', { attemptCountInResponse: true }),
          ...maybe('rateLimits', [limit(random)]),
          ...maybe('timeouts', { detect: `${random(900)}ms`, tunnelIdle: '1m', tunnelMax: '9h' }),
        }),
        4,
      ),
      ...(l4 ? [{ name: 'pass', address: ':3000', protocol: 'tls' }] : []),
      ...(l4 ? [{ name: 'db', address: ':3001', protocol: 'tcp' }] : []),
    ],
    tlsRoutes: l4
      ? some(
          (i) => ({ name: `t${i}`, hostnames: [`t${i}.shop`, `*.t${i}.shop`], backendRefs: bytes }),
          6,
        ).concat({ name: 'rest', hostnames: [], backendRefs: bytes })
      : [],
    tcpRoutes: l4
      ? [{ name: 'db', ...maybe('parentRefs', [{ sectionName: 'db' }]), backendRefs: bytes }]
      : [],
    routes: some(
      (i) => ({
        name: `r${i}`,
        ...maybe('parentRefs', [{ sectionName: 'first' }]),
        ...maybe('hostnames', [`h${random(9)}.shop`, '*.shop']),
        rules: Array.from({ length: 1 + random(3) }, () => ({
          ...maybe('rateLimits', [limit(random), { ...limit(random), name: 'second' }]),
          matches: [
            {
              ...(random(5) === 0
                ? { grpc: { service: `a.B${random(9)}` } }
                : { path: { type: 'PathPrefix', value: `/p${random(9)}` }, ...maybe('method', 'GET') }),
              ...maybe('headers', [{ name: 'X-Env', value: 'prod' }]),
              ...maybe('queryParams', [{ type: 'RegularExpression', name: 'q', value: 'a+' }]),
            },
          ],
          filters: randomFilters(random),
          backendRefs: backends(),
          ...maybe('timeouts', { request: `${random(30)}s` }),
          ...maybe('maxRequestBytes', random(9)),
          ...maybe('fault', {
            delay: random(2) === 0 ? { headerDelay: true } : { fixedDelay: '1s', percentage: random(100) },
            abort: random(2) === 0 ? { headerAbort: true } : { httpStatus: 500, grpcStatus: 3 },
            responseRateLimit: random(2) === 0 ? { headerLimit: true } : { limitKbps: 1 + random(99) },
          }),
          ...maybe('retry', {
            attempts: random(5),
            retryOn: ['5xx'],
            codes: [429],
            headers: [{ name: 'x-again' }],
            backoff: random(2) === 0 ? '10ms' : { base: '10ms', max: '70ms' },
          }),
        })),
      }),
      8,
    ),
    services: [...services, ...(l4 ? [{ name: 'bytes', protocol: 'tcp', dns: 'db.local:1' }] : [])],
    ...maybe('callers', {
      maxConnections: random(100),
      turn: `${random(9)}ms`,
      offences: random(2) === 0 ? 'off' : { burst: 1 + random(9), penalty: '1m' },
    }),
    ...maybe('workers', 1 + random(8)),
    ...maybe('accessLog', { path: random(2) === 0 ? 'stdout' : 'log/access.json' }),
    ...maybe('tracing', { sampling: `${random(1000) / 10}%`, otlp: { endpoint: 'http://127.0.0.1:4318' } }),
  };
}

function randomFilters(random: (below: number) => number): unknown[] {
  const path = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' };
  const filters = [
    {
      type: 'RequestHeaderModifier',
      requestHeaderModifier: { set: [{ name: 'X-A', value: '1' }], remove: ['X-B'] },
    },
    { type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'X-C', value: '2' }] } },
    { type: 'URLRewrite', urlRewrite: { hostname: 'other.shop', path } },
    {
      type: 'CORS',
      cors: {
        allowOrigins: ['https://*.Shop:443', 'http://a:81'],
        allowMethods: ['*'],
        exposeHeaders: ['X-A'],
      },
    },
  ];
  return filters.filter(() => random(3) === 0);
}
