/** Snapshots, routes and request heads with everything filled in that a router test doesn't care about. */
import type {
  FilterConfig,
  ListenerConfig,
  MatchConfig,
  NodeSettings,
  RouteConfig,
  RuleConfig,
  Snapshot,
} from '../../src/config/index.ts';
import { normalizePath, type PreparedPath } from '../../src/dataplane/router/index.ts';
import { HeaderList, type RequestHead } from '../../src/message/index.ts';

export interface RouteSketch {
  name: string;
  listeners?: string[];
  hostnames?: string[];
  rules: RuleSketch[];
}

/** A rule, called by its name, with its matches written briefly. */
export interface RuleSketch {
  name: string;
  matches?: MatchSketch[];
  filters?: FilterConfig[];
  backends?: RuleConfig['backends'];
}

export interface MatchSketch {
  /** `/a` is a prefix, `= /a` exact, `~ a.*` a regular expression. */
  path?: string;
  method?: string;
  /** gRPC requests only. */
  grpc?: boolean;
  /** `name: value`, or `name ~ expression`. */
  headers?: string[];
  /** `name=value`, or `name~expression`. */
  query?: string[];
}

export function route(sketch: RouteSketch): RouteConfig {
  return {
    name: sketch.name,
    listeners: sketch.listeners ?? [],
    hostnames: sketch.hostnames ?? [],
    rules: sketch.rules.map(rule),
  };
}

export function rule(sketch: RuleSketch): RuleConfig {
  return {
    name: sketch.name,
    matches: (sketch.matches ?? [{}]).map(match),
    filters: sketch.filters ?? [],
    backends: sketch.backends ?? [{ service: 'backend', subset: null, weight: 1, filters: [] }],
    priority: 'default',
    timeouts: { requestMs: 15_000, backendRequestMs: 0, grpcRequestMs: 0 },
    hedging: null,
    fault: null,
    maxRequestBytes: null,
    rateLimits: [],
    globalRateLimit: null,
    retry: {
      attempts: 2,
      retryOn: [],
      codes: [],
      retriableHeaders: [],
      backoffBaseMs: 25,
      backoffMaxMs: 250,
      resetHeaders: [],
      resetMaxMs: 300_000,
      replayBytes: 65_536,
      hostSelectionAttempts: 1,
    },
  };
}

export function match(sketch: MatchSketch): MatchConfig {
  const path = sketch.path ?? '/';
  return {
    path: path.startsWith('= ')
      ? { type: 'Exact', value: path.slice(2) }
      : path.startsWith('~ ')
        ? { type: 'RegularExpression', value: path.slice(2) }
        : { type: 'PathPrefix', value: path },
    method: sketch.method ?? null,
    grpc: sketch.grpc ?? false,
    headers: (sketch.headers ?? []).map((text) => valueMatch(text, ': ', ' ~ ')),
    queryParams: (sketch.query ?? []).map((text) => valueMatch(text, '=', '~')),
  };
}

function valueMatch(text: string, equals: string, like: string): MatchConfig['headers'][number] {
  const at = text.indexOf(like);
  const [type, mark] = at >= 0 ? (['RegularExpression', like] as const) : (['Exact', equals] as const);
  const split = text.indexOf(mark);
  return { type, name: text.slice(0, split), value: text.slice(split + mark.length) };
}

export function snapshot(routes: readonly RouteConfig[], listeners: readonly string[] = ['web']): Snapshot {
  return {
    version: 1,
    node: NODE,
    listeners: listeners.map(listener),
    routes,
    tlsRoutes: [],
    tcpRoutes: [],
    services: [],
    limitSlots: [],
  };
}

/** `GET /path` or `/path`, headers as `name: value`. */
export function request(line: string, host: string, ...headers: string[]): RequestHead {
  const [method, target] = line.includes(' ') ? (line.split(' ') as [string, string]) : ['GET', line];
  const list = HeaderList.empty();
  for (const text of headers)
    list.append(text.slice(0, text.indexOf(': ')), text.slice(text.indexOf(': ') + 2));
  return {
    method,
    target,
    authority: host,
    scheme: 'http',
    version: '1.1',
    headers: list,
    body: 'none',
    contentLength: -1,
    expectContinue: false,
    upgrade: '',
  };
}

export function prepared(target: string): PreparedPath {
  return normalizePath(target, 'BASE');
}

function listener(name: string, index: number): ListenerConfig {
  return {
    name,
    host: '127.0.0.1',
    port: 8080 + index,
    protocol: 'auto',
    tls: null,
    pathNormalization: 'BASE',
    trustedHops: 0,
    proxyProtocol: null,
    trustedCallers: [],
    proxyHeaders: { envoyDebugHeaders: true, attemptCount: true, attemptCountInResponse: false },
    headerTimeoutMs: 10_000,
    idleTimeoutMs: 300_000,
    http2: { maxConcurrentStreams: 100 },
    detectTimeoutMs: 200,
    tunnelIdleTimeoutMs: 3_600_000,
    tunnelMaxMs: 0,
    maxHeaderBytes: 61_440,
    maxRequestBytes: 0,
    maxConnections: 1_000,
    rateLimits: [],
  };
}

const NODE: NodeSettings = {
  tracing: { sampling: 1, otlpEndpoint: null, serviceName: 'outboard', propagation: ['w3c'] },
  admin: { host: '127.0.0.1', port: 15_000 },
  accessLog: { path: null },
  callers: {
    maxConnections: 0,
    maxRequests: 0,
    maxBufferedBytes: 0,
    turnMs: 0,
    offences: null,
    ipv6PrefixLength: 64,
  },
  workers: 1,
  locality: null,
  drainTimeoutMs: 5_000,
  overload: null,
};
