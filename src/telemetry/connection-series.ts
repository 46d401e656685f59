/**
 * Istio's metrics of the TCP connections to one service. Bytes are counted as they pass, because a connection may live for
 * days; like Istio, whoever opens a connection can't know yet how it ends, so openings and bytes stand beside the flags `-`,
 * and endings beside their own.
 */
import { DISCARD } from './cells.ts';
import { CONNECTION_COUNTER } from './families.ts';
import type { RequestRecord } from './record.ts';
import type { SeriesSource } from './request-series.ts';

/** The counts that connections of one caller share. */
export class ConnectionCounts {
  private readonly source: SeriesSource;
  /** @internal */ base: number;
  /** @internal */ readonly labels: Readonly<Record<string, string>>;

  constructor(source: SeriesSource, base: number, labels: Readonly<Record<string, string>>) {
    this.source = source;
    this.base = base;
    this.labels = labels;
  }

  /** From the client. */
  received(bytes: number): void {
    this.add(CONNECTION_COUNTER.received, bytes);
  }

  /** To the client. */
  sent(bytes: number): void {
    this.add(CONNECTION_COUNTER.sent, bytes);
  }

  /** @internal */
  add(counter: number, n: number): void {
    this.source.cells.add(this.base + counter, n);
  }
}

export class ConnectionSeries {
  private readonly source: SeriesSource;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly owner: string;
  /** By caller, security and flags. */
  private readonly known = new Map<string, ConnectionCounts>();

  /** `labels`: those that all series share. */
  constructor(source: SeriesSource, labels: Readonly<Record<string, string>>, owner: string) {
    this.source = source;
    this.labels = labels;
    this.owner = owner;
  }

  /** Counts a connection that begins; its bytes are added to what is returned. */
  open(record: RequestRecord): ConnectionCounts {
    const counts = this.find(record, '-');
    counts.add(CONNECTION_COUNTER.opened, 1);
    return counts;
  }

  close(record: RequestRecord, flags: string): void {
    this.find(record, flags).add(CONNECTION_COUNTER.closed, 1);
  }

  /** Announces every series again: the supervisor may have dropped them. */
  announceAll(): void {
    for (const { base, labels } of this.known.values())
      this.source.announceBlock('connection', base, labels, this.owner);
  }

  /** Gives all cells back; connections that still live add to the discarded block from now on. */
  release(): void {
    for (const counts of this.known.values()) {
      this.source.releaseBlock('connection', counts.base);
      counts.base = DISCARD;
    }
    this.known.clear();
  }

  private find({ facts }: RequestRecord, flags: string): ConnectionCounts {
    const peer = facts.tls?.peer ?? null;
    const principal = peer?.uriSans[0] ?? '';
    const key = `${peer === null ? '' : 'mutual'} ${flags} ${principal}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const labels = {
      reporter: 'source',
      source_principal: principal === '' ? 'unknown' : principal,
      ...this.labels,
      request_protocol: 'tcp',
      response_flags: flags,
      connection_security_policy: peer === null ? 'none' : 'mutual_tls',
    };
    const base = this.source.block('connection', labels, this.owner);
    const made = new ConnectionCounts(this.source, base, labels);
    // One that finds no cells is not kept, so that the limit bounds this table too.
    if (base === DISCARD) this.source.countOverflow();
    else this.known.set(key, made);
    return made;
  }
}
