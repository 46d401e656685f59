/**
 * What the fields of a list were encoded to, so that they are copied the next time. A list out of the block cache comes again
 * and again with the same received fields, and as long as the encoder's table stays as it is they make the same bytes.
 * It belongs to one encoder. Nothing is kept before a list comes a second time.
 */
import type { FieldSet, HeaderList } from '../../../message/index.ts';
import type { OutBuffer } from './out-buffer.ts';

const PLACES = 16;
/** Longer ones are rare, and would hold memory in every connection. */
const KEPT_BYTES = 512;

/** Of one source. */
interface Kept {
  readonly ids: readonly number[];
  readonly except: FieldSet | undefined;
  /** The table as it was. */
  readonly tableVersion: number;
  readonly bytes: Buffer;
  readonly length: number;
}

export class EncodedFields {
  private sources: number[] = [];
  private kept: (Kept | null)[] = [];

  /** Appends what the received fields of this list make. False: it is not known. */
  write(headers: HeaderList, except: FieldSet | undefined, tableVersion: number, out: OutBuffer): boolean {
    const { source, receivedIds } = headers;
    const place = source & (PLACES - 1);
    if (source === 0 || this.sources[place] !== source) return false;
    const kept = this.kept[place];
    if (kept === null || kept === undefined) return false;
    if (kept.tableVersion !== tableVersion || kept.except !== except || !equal(kept.ids, receivedIds))
      return false;
    const { length } = kept;
    const bytes = out.reserve(length);
    kept.bytes.copy(bytes, out.length, 0, length);
    out.length += length;
    return true;
  }

  /** Offers what they made when they were not known: `bytes[start, end)`. */
  offer(
    headers: HeaderList,
    except: FieldSet | undefined,
    tableVersion: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const { source, receivedIds } = headers;
    if (source === 0) return;
    const place = source & (PLACES - 1);
    if (this.sources[place] !== source) {
      if (this.sources.length === 0) {
        this.sources = new Array(PLACES).fill(0);
        this.kept = new Array(PLACES).fill(null);
      }
      this.sources[place] = source;
      this.kept[place] = null;
      return;
    }
    const length = end - start;
    if (length > KEPT_BYTES) return;
    const kept = this.kept[place] ?? null;
    // Not from the pool: what lives long would keep a slab of 8 KiB alive.
    const own = kept === null || kept.bytes.length < length ? Buffer.allocUnsafeSlow(length) : kept.bytes;
    bytes.copy(own, 0, start, end);
    this.kept[place] = { ids: receivedIds.slice(), except, tableVersion, bytes: own, length };
  }
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
