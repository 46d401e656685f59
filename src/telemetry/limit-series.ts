/** What each rate limit of a worker counts: one block of cells per limit, from its first configuration until it left for good. */
import { LIMITS } from '../base/index.ts';
import { DISCARD } from './cells.ts';
import { CounterBlock } from './counter-block.ts';
import type { SeriesSource } from './request-series.ts';

interface Entry {
  readonly id: string;
  readonly counters: CounterBlock;
  /** When it left the configuration, by `Clock.nowMs`; -1: it is in force. */
  removedMs: number;
}

export class LimitSeries {
  private readonly source: SeriesSource;
  private readonly entries = new Map<string, Entry>();

  constructor(source: SeriesSource) {
    this.source = source;
  }

  /** The counters (LIMIT_COUNTER) of a limit in force. */
  add(id: string): CounterBlock {
    const { source } = this;
    const known = this.entries.get(id);
    if (known !== undefined) {
      if (known.removedMs >= 0 && known.counters.base !== DISCARD) this.announce(known);
      known.removedMs = -1;
      return known.counters;
    }
    const base = source.block('limit', labelsOf(id), limitOwner(id));
    if (base === DISCARD) source.countOverflow();
    const entry = { id, counters: new CounterBlock(source.cells, base), removedMs: -1 };
    this.entries.set(id, entry);
    return entry.counters;
  }

  /** The limit left the configuration. */
  remove(id: string, nowMs: number): void {
    const entry = this.entries.get(id);
    if (entry !== undefined && entry.removedMs < 0) entry.removedMs = nowMs;
  }

  /** Frees the cells of what was removed so long ago that the supervisor reads them no more. */
  sweep(nowMs: number): void {
    for (const [id, { counters, removedMs }] of this.entries) {
      if (removedMs < 0 || removedMs > nowMs - 2 * LIMITS.removedSeriesMs) continue;
      this.entries.delete(id);
      const { base } = counters;
      counters.base = DISCARD;
      this.source.releaseBlock('limit', base);
    }
  }

  private announce({ id, counters }: Entry): void {
    this.source.announceBlock('limit', counters.base, labelsOf(id), limitOwner(id));
  }
}

/** What `SeriesAnnouncement.owner` says for a rate limit. */
export function limitOwner(id: string): string {
  return `rate limit ${id}`;
}

/** Envoy's label for its stat_prefix. */
function labelsOf(id: string): Readonly<Record<string, string>> {
  return { envoy_local_http_ratelimit_prefix: id };
}
