/**
 * The series that workers announced, and their sums. A series may be written by every worker at an offset of
 * its own; its value is the sum over the workers that live plus what workers that have ended had counted, so
 * a counter never goes back when a worker does. Series of services and listeners that left the
 * configuration expire after `LIMITS.removedSeriesMs`, time enough to be scraped once more.
 */
import { type Clock, LIMITS } from '../../base/index.ts';
import type { WorkerCells } from '../../ledger/index.ts';
import { BLOCK_CELLS, type BlockKind, type SeriesAnnouncement } from '../../telemetry/index.ts';

export interface CellSeries {
  readonly block: BlockKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: string;
  /** Sums over all workers, living and ended, as of the last `refresh`. */
  readonly total: Float64Array;
  /** Sums over living workers only: for gauges. */
  readonly living: Float64Array;
}

interface Entry extends CellSeries {
  readonly key: string;
  /** What ended workers had counted. */
  readonly ended: Float64Array;
  /** By `Clock.nowMs`; -1: its owner is in force. */
  removedMs: number;
}

interface Source {
  readonly cells: WorkerCells;
  readonly byOffset: Map<number, Entry>;
}

/** The block before the first that is announced. */
const DISCARDED_CELLS = Math.max(...Object.values(BLOCK_CELLS));

export class CellSeriesTable {
  private readonly clock: Clock;
  private readonly sources = new Map<number, Source>();
  private readonly entries = new Map<string, Entry>();
  /** Null until `setOwners`: everything is in force. */
  private owners: ReadonlySet<string> | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Before the worker's first announcement. `id` is any number that no other living worker has. */
  attach(id: number, cells: WorkerCells): void {
    this.sources.set(id, { cells, byOffset: new Map() });
  }

  announce(id: number, announcements: readonly SeriesAnnouncement[]): void {
    const source = this.sources.get(id);
    if (source === undefined) return;
    for (const { block, offset, labels, owner } of announcements) {
      const key = `${block} ${owner} ${Object.values(labels).join('\u0001')}`;
      let entry = this.entries.get(key);
      if (entry === undefined) {
        entry = { key, block, labels, owner, removedMs: -1, ...arraysOf(block) };
        this.entries.set(key, entry);
        this.judge(entry);
      }
      source.byOffset.set(offset, entry);
    }
  }

  /** After the worker's exit event: keeps its counts and zeroes its cells, so that another may take them over. */
  retire(id: number): void {
    const source = this.sources.get(id);
    if (source === undefined) return;
    this.sources.delete(id);
    let end = DISCARDED_CELLS;
    for (const [offset, entry] of source.byOffset) {
      addCells(entry.ended, source.cells, offset);
      end = Math.max(end, offset + entry.ended.length);
    }
    source.cells.values.fill(0, 0, end);
  }

  /** Services, and listeners as `listenerOwner` names them, that are in force. */
  setOwners(owners: Iterable<string>): void {
    this.owners = new Set(owners);
    for (const entry of this.entries.values()) this.judge(entry);
  }

  /** Sums everything and drops what has expired. */
  refresh(): void {
    const expired = this.clock.nowMs() - LIMITS.removedSeriesMs;
    for (const entry of this.entries.values()) {
      if (entry.removedMs >= 0 && entry.removedMs <= expired) this.entries.delete(entry.key);
      else entry.living.fill(0);
    }
    for (const { cells, byOffset } of this.sources.values()) {
      for (const [offset, entry] of byOffset) {
        if (this.entries.get(entry.key) === entry) addCells(entry.living, cells, offset);
        else byOffset.delete(offset);
      }
    }
    for (const { total, living, ended } of this.entries.values()) {
      for (let i = 0; i < total.length; i++) total[i] = living[i] + ended[i];
    }
  }

  /** As of the last `refresh`. */
  seriesOf(block: BlockKind): CellSeries[] {
    const found: CellSeries[] = [];
    for (const entry of this.entries.values()) if (entry.block === block) found.push(entry);
    return found;
  }

  get size(): number {
    return this.entries.size;
  }

  private judge(entry: Entry): void {
    const isInForce = entry.owner === '' || this.owners === null || this.owners.has(entry.owner);
    if (isInForce) entry.removedMs = -1;
    else if (entry.removedMs < 0) entry.removedMs = this.clock.nowMs();
  }
}

function arraysOf(block: BlockKind): Pick<Entry, 'total' | 'living' | 'ended'> {
  const cells = BLOCK_CELLS[block];
  return { total: new Float64Array(cells), living: new Float64Array(cells), ended: new Float64Array(cells) };
}

function addCells(into: Float64Array, cells: WorkerCells, offset: number): void {
  for (let i = 0; i < into.length; i++) into[i] += cells.values[offset + i];
}
