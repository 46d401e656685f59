/**
 * Addresses of `dns` services, looked up again and again. A look-up that fails keeps the last good answer
 * (a resolver that is down must not take a service down), and is told. The system's resolver is used, with
 * its hosts file and search domains, because that is what makes `cart` resolve in Compose and in a
 * cluster; it works on libuv's four threads, so only two look-ups run at a time.
 */
import { lookup } from 'node:dns/promises';
import { LIMITS } from '../../base/index.ts';
import type { DnsTarget, EndpointDraft, ServiceDraft } from '../../config/index.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a name, IPv4 and IPv6; rejects when it has none or nobody answers. */
export type Resolver = (name: string) => Promise<readonly ResolvedAddress[]>;

export const systemResolver: Resolver = (name) => lookup(name, { all: true, order: 'verbatim' });

export interface DnsOptions {
  readonly resolver: Resolver;
  /** The endpoints of some service changed. Called at most once per turn of the event loop. */
  onChange(): void;
  onFailed(service: string, name: string, error: string): void;
}

interface Entry {
  readonly service: string;
  readonly target: DnsTarget;
  /** Null: never resolved. */
  endpoints: readonly EndpointDraft[] | null;
  /** What `fill` made last, and of what: the same object again while neither has changed. */
  filled: { readonly from: ServiceDraft; readonly service: ServiceDraft } | null;
  timer: NodeJS.Timeout | null;
  /** Resolves when the first look-up has ended, well or not. */
  first: Promise<void>;
  ended: () => void;
  removed: boolean;
  failed: boolean;
}

const PARALLEL = 2;

export class DnsEndpoints {
  private readonly options: DnsOptions;
  private entries = new Map<string, Entry>();
  private readonly waiting: Entry[] = [];
  private running = 0;
  /** Something changed since `taken`. */
  private changed = false;
  private announced = false;
  private stopped = false;

  constructor(options: DnsOptions) {
    this.options = options;
  }

  /**
   * Looks up the names of these services from now on, and those of no other. Resolves when each has been
   * looked up once, or after `waitMs`.
   */
  async follow(services: readonly ServiceDraft[], waitMs: number): Promise<void> {
    const before = this.entries;
    this.entries = new Map();
    const pending: Promise<void>[] = [];
    for (const service of services) {
      if (service.dns === null) continue;
      const old = before.get(service.name);
      const same = old !== undefined && sameTarget(old.target, service.dns);
      const entry = same ? old : newEntry(service.name, service.dns);
      if (same) before.delete(service.name);
      else if (
        old !== undefined &&
        old.target.name === entry.target.name &&
        old.target.port === entry.target.port
      )
        entry.endpoints = old.endpoints;
      this.entries.set(service.name, entry);
      if (!same) this.enqueue(entry);
      if (entry.endpoints === null) pending.push(entry.first);
    }
    for (const entry of before.values()) forget(entry);
    if (pending.length > 0) await endedWithin(pending, waitMs);
  }

  /** The service with its addresses as endpoints; itself when it has no `dns`. */
  fill(service: ServiceDraft): ServiceDraft {
    const entry = service.dns === null ? undefined : this.entries.get(service.name);
    if (!entry?.endpoints) return service;
    const { endpoints, filled } = entry;
    if (filled?.from === service && filled.service.endpoints === endpoints) return filled.service;
    entry.filled = { from: service, service: { ...service, endpoints } };
    return entry.filled.service;
  }

  /** The endpoints as they are now are being published; only later changes are announced. */
  taken(): void {
    this.changed = false;
  }

  stop(): void {
    this.stopped = true;
    for (const entry of this.entries.values()) forget(entry);
    this.waiting.length = 0;
  }

  private enqueue(entry: Entry): void {
    this.waiting.push(entry);
    this.next();
  }

  private next(): void {
    while (this.running < PARALLEL && !this.stopped) {
      const entry = this.waiting.shift();
      if (entry === undefined) return;
      if (entry.removed) continue;
      this.running++;
      void this.look(entry).finally(() => {
        this.running--;
        this.next();
      });
    }
  }

  private async look(entry: Entry): Promise<void> {
    const { target } = entry;
    try {
      const endpoints = endpointsOf(await this.options.resolver(target.name), target);
      if (endpoints.length === 0) throw new Error(`no address of the family ${target.lookupFamily}`);
      if (!entry.removed && !sameEndpoints(entry.endpoints, endpoints)) {
        entry.endpoints = endpoints;
        this.announce();
      }
      entry.failed = false;
    } catch (error) {
      // Told once per outage, not once per look-up.
      if (!entry.removed && !entry.failed)
        this.options.onFailed(
          entry.service,
          target.name,
          error instanceof Error ? error.message : String(error),
        );
      entry.failed = true;
    }
    entry.ended();
    if (entry.removed || this.stopped) return;
    entry.timer = setTimeout(() => this.enqueue(entry), target.refreshMs).unref();
  }

  private announce(): void {
    this.changed = true;
    if (this.announced) return;
    this.announced = true;
    setImmediate(() => {
      this.announced = false;
      if (this.changed && !this.stopped) this.options.onChange();
    });
  }
}

function newEntry(service: string, target: DnsTarget): Entry {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    service,
    target,
    endpoints: null,
    filled: null,
    timer: null,
    first: promise,
    ended: resolve,
    removed: false,
    failed: false,
  };
}

function forget(entry: Entry): void {
  entry.removed = true;
  entry.ended();
  if (entry.timer) clearTimeout(entry.timer);
}

function sameTarget(a: DnsTarget, b: DnsTarget): boolean {
  return (
    a.name === b.name && a.port === b.port && a.refreshMs === b.refreshMs && a.lookupFamily === b.lookupFamily
  );
}

/** Sorted, so that an answer in another order is the same answer. */
function endpointsOf(answer: readonly ResolvedAddress[], target: DnsTarget): EndpointDraft[] {
  const of = (family: number) => answer.filter((at) => at.family === family).map((at) => at.address);
  const v4 = of(4);
  const v6 = of(6);
  const taken = {
    V4_ONLY: v4,
    V6_ONLY: v6,
    V4_PREFERRED: v4.length > 0 ? v4 : v6,
    AUTO: v6.length > 0 ? v6 : v4,
    ALL: [...v4, ...v6],
  }[target.lookupFamily];
  const addresses = [...new Set(taken)].sort().slice(0, LIMITS.dnsAddresses);
  return addresses.map((address) => ({ address, port: target.port, ...PLAIN }));
}

/** An address says nothing more of itself. */
const PLAIN = { weight: 1, priority: 0, locality: null, labels: null } as const;

function sameEndpoints(a: readonly EndpointDraft[] | null, b: readonly EndpointDraft[]): boolean {
  return a !== null && a.length === b.length && a.every((at, i) => at.address === b[i]?.address);
}

async function endedWithin(pending: readonly Promise<void>[], waitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitMs);
  await Promise.race([Promise.all(pending), promise]);
  clearTimeout(timer);
}
