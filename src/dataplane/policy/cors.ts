/**
 * Cross-origin resource sharing (the Fetch standard, section 3.2): which pages may read a rule's answers. Preflights are
 * answered here and never reach an endpoint, those of pages that may not included: they get no leave, and the browser stops. An
 * actual request is sent on whoever asks; its answer says whether the page may read it.
 */
import type { CorsConfig } from '../../config/index.ts';
import { HeaderList, type RequestHead } from '../../message/index.ts';
import type { LocalReply } from './local-reply.ts';

export interface CorsPolicy {
  readonly config: CorsConfig;
  readonly anyOrigin: boolean;
  readonly origins: ReadonlySet<string>;
  readonly patterns: readonly OriginPattern[];
  readonly methods: string;
  readonly headers: string;
  readonly expose: string;
  readonly maxAge: string;
  /** Answers differ by the origin that asks, so that caches must keep them apart. */
  readonly varies: boolean;
}

/** `https://*.shop.example:8443` */
interface OriginPattern {
  readonly scheme: string;
  /** What the host ends with and is longer than, with the port; empty: any host. */
  readonly suffix: string;
  /** Of a pattern for any host; empty: that of the scheme. */
  readonly port: string;
}

/** What one request is told. */
export interface CorsAnswer {
  /** Null: the request states none. */
  readonly origin: 'valid' | 'invalid' | null;
  /** Of a preflight; null: the request is no preflight. */
  readonly reply: LocalReply | null;
  /** Access-Control-Allow-Origin; empty: the page may not read the answer. */
  readonly allowOrigin: string;
  readonly policy: CorsPolicy;
}

export function compileCors(config: CorsConfig): CorsPolicy {
  const { allowOrigins, allowCredentials, allowMethods, allowHeaders, exposeHeaders } = config;
  const anyOrigin = allowOrigins.includes('*');
  const wild = allowOrigins.filter((origin) => origin !== '*' && origin.includes('*'));
  return {
    config,
    anyOrigin,
    origins: new Set(allowOrigins.filter((origin) => !origin.includes('*'))),
    patterns: wild.map(patternOf),
    methods: allowMethods.join(', '),
    headers: allowHeaders.join(', '),
    expose: exposeHeaders.join(', '),
    maxAge: String(config.maxAgeSeconds),
    varies: !anyOrigin || allowCredentials,
  };
}

/** Judges a request as it came. */
export function judgeCors(policy: CorsPolicy, { method, headers }: RequestHead): CorsAnswer {
  const origin = headers.getAll('origin');
  if (origin === undefined || origin === '') return { origin: null, reply: null, allowOrigin: '', policy };
  const allowOrigin = allowed(policy, origin);
  const asked = method === 'OPTIONS' ? headers.get('access-control-request-method') : undefined;
  return {
    origin: allowOrigin === '' ? 'invalid' : 'valid',
    reply: asked === undefined || asked === '' ? null : preflight(policy, allowOrigin, asked, headers),
    allowOrigin,
    policy,
  };
}

/** Writes on an answer what its page may do; what an endpoint said of that is replaced for a page that may read it, as in Envoy. */
export function writeCors({ allowOrigin, policy, reply }: CorsAnswer, headers: HeaderList): void {
  if (policy.varies) addVary(headers);
  if (allowOrigin === '') return;
  headers.set('access-control-allow-origin', allowOrigin);
  if (policy.config.allowCredentials) headers.set('access-control-allow-credentials', 'true');
  else headers.delete('access-control-allow-credentials');
  if (reply === null && policy.expose !== '') headers.set('access-control-expose-headers', policy.expose);
}

/** Its own fields; `writeCors` adds the rest. */
function preflight(policy: CorsPolicy, allowOrigin: string, method: string, asked: HeaderList): LocalReply {
  const headers = HeaderList.empty();
  if (allowOrigin !== '') {
    const methods = named(policy, policy.methods, method);
    if (methods !== '') headers.append('access-control-allow-methods', methods);
    const names = named(policy, policy.headers, asked.getAll('access-control-request-headers') ?? '');
    if (names !== '') headers.append('access-control-allow-headers', names);
    headers.append('access-control-max-age', policy.maxAge);
  }
  return { status: 200, headers, body: NOTHING };
}

/** With credentials browsers take `*` for a name, so what was asked for is named in its place. */
function named({ config }: CorsPolicy, list: string, asked: string): string {
  return list === '*' && config.allowCredentials ? asked : list;
}

/** Access-Control-Allow-Origin for this origin; empty: it may not. */
function allowed(policy: CorsPolicy, origin: string): string {
  const { anyOrigin, origins, patterns, varies } = policy;
  if (anyOrigin) return varies ? (origin === 'null' ? '' : origin) : '*';
  if (origins.has(origin)) return origin;
  for (let i = 0; i < patterns.length; i++) if (fits(patterns[i] as OriginPattern, origin)) return origin;
  return '';
}

function fits({ scheme, suffix, port }: OriginPattern, origin: string): boolean {
  if (!origin.startsWith(scheme)) return false;
  const host = origin.slice(scheme.length);
  if (suffix !== '') return host.length > suffix.length && host.endsWith(suffix) && HOST.test(host);
  return HOST.test(host) && (/:([0-9]+)$/.exec(host)?.[1] ?? '') === port;
}

/** As browsers write one: lower case, with a port where it is not that of the scheme. */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;

function patternOf(origin: string): OriginPattern {
  const end = origin.indexOf('://') + 3;
  const rest = origin.slice(end + 1);
  const anyHost = rest === '' || rest.startsWith(':');
  return { scheme: origin.slice(0, end), suffix: anyHost ? '' : rest, port: anyHost ? rest.slice(1) : '' };
}

function addVary(headers: HeaderList): void {
  const vary = headers.getAll('vary');
  if (vary === undefined) headers.append('vary', 'Origin');
  else if (!VARIES.test(vary)) headers.set('vary', `${vary}, Origin`);
}

const VARIES = /(?:^|[,\s])(?:origin|\*)(?:$|[,\s])/i;
const NOTHING = Buffer.alloc(0);
