/** What a request has to say to the choice of its endpoint, and the cookie or header by which its client keeps that. */
import type { SessionPersistenceConfig } from '../../../config/index.ts';
import type { RequestHead, ResponseHead } from '../../../message/index.ts';
import { H } from '../../../message/index.ts';
import type { RequestRecord } from '../../../telemetry/index.ts';
import {
  affinityCookie,
  cookieOf,
  hashKeyOf,
  headerEndpoint,
  sessionCookie,
  sessionEndpoint,
  sessionHeader,
} from '../../policy/index.ts';
import type { Preference, UpstreamService } from '../../upstream/index.ts';
import type { ExchangeContext } from '../context.ts';

export class Affinity implements Preference {
  readonly key: string | null;
  readonly subset: string;
  readonly session: string;
  /** Set-Cookie for the answer, with a key that was made; empty: the client has its key. */
  private readonly cookie: string;
  private readonly persistence: SessionPersistenceConfig | null;

  constructor(
    key: string | null,
    cookie: string,
    subset: string,
    session: string,
    persistence: SessionPersistenceConfig | null,
  ) {
    this.key = key;
    this.cookie = cookie;
    this.subset = subset;
    this.session = session;
    this.persistence = persistence;
  }

  /** Tells a client of its endpoint, if it knows of none or `endpoint`, which answers, is another; `head` is changed in place. */
  tell({ headers }: ResponseHead, endpoint: string, wallMs: number): void {
    const { cookie, persistence } = this;
    if (cookie !== '') headers.append('set-cookie', cookie);
    if (persistence === null || endpoint === this.session) return;
    if (persistence.type === 'header') headers.set(persistence.sessionName, sessionHeader(endpoint));
    else headers.append('set-cookie', sessionCookie(persistence, endpoint, wallMs));
  }
}

/** Of a request as it is sent upstream; null: it says nothing. `subset`: of its backend; empty: none. */
export function affinityOf(
  { config }: UpstreamService,
  subset: string,
  head: RequestHead,
  { clientAddress, facts }: RequestRecord,
  { random, clock }: Pick<ExchangeContext, 'random' | 'clock'>,
): Affinity | null {
  const { consistentHash } = config.loadBalancer;
  const { sessionPersistence } = config;
  if (sessionPersistence !== null) {
    const session = sessionOf(sessionPersistence, head, clock.wallMs());
    return new Affinity(null, '', subset, session, sessionPersistence);
  }
  if (consistentHash === null) return subset === '' ? null : new Affinity(null, '', subset, '', null);
  const { key: source } = consistentHash;
  const key = hashKeyOf(source, head, clientAddress === '' ? facts.remoteAddress : clientAddress);
  if (key !== null || source.type !== 'cookie' || source.ttlMs === null)
    return new Affinity(key, '', subset, '', null);
  const made = newKey(random);
  return new Affinity(made, affinityCookie(source, made), subset, '', null);
}

/** Address of the endpoint that the client was told; empty: none, or it is told no more. */
function sessionOf(
  { type, sessionName }: SessionPersistenceConfig,
  { headers }: RequestHead,
  wallMs: number,
): string {
  if (type === 'header') return headerEndpoint(headers.get(sessionName) ?? '');
  const cookie = cookieOf(headers.getAll(H.cookie) ?? '', sessionName);
  return cookie === null ? '' : sessionEndpoint(cookie, wallMs);
}

/** 16 hexadecimal digits. */
function newKey(random: () => number): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
