/** The key by which a request finds its endpoint, and the cookie that tells a new client its own. */
import type { RequestHead, ResponseHead } from '../../message/index.ts';
import type { RequestRecord } from '../../telemetry/index.ts';
import { affinityCookie, hashKeyOf } from '../policy/index.ts';
import type { UpstreamService } from '../upstream/index.ts';

export class Affinity {
  /** Null: the request has none. */
  readonly key: string | null;
  /** Set-Cookie for the answer; empty: the client has its key. */
  private readonly cookie: string;

  constructor(key: string | null, cookie: string) {
    this.key = key;
    this.cookie = cookie;
  }

  /** Gives a new client its cookie; `head` is changed in place. */
  tell({ headers }: ResponseHead): void {
    if (this.cookie !== '') headers.append('set-cookie', this.cookie);
  }
}

/** Of a request as it is sent upstream; null: its service does not balance by a key. */
export function affinityOf(
  { config }: UpstreamService,
  head: RequestHead,
  { clientAddress, facts }: RequestRecord,
  random: () => number,
): Affinity | null {
  const { consistentHash } = config.loadBalancer;
  if (consistentHash === null) return null;
  const { key: source } = consistentHash;
  const key = hashKeyOf(source, head, clientAddress === '' ? facts.remoteAddress : clientAddress);
  if (key !== null || source.type !== 'cookie' || source.ttlMs === null) return new Affinity(key, '');
  const made = newKey(random);
  return new Affinity(made, affinityCookie(source, made));
}

/** 16 hexadecimal digits. */
function newKey(random: () => number): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
