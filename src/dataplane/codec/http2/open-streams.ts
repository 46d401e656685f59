/**
 * The open streams by their ids: a hash table with open addressing (linear probing; removal moves the entries behind it up, so
 * there are no tombstones). A Map does not serve here. It throws its table away each time as many streams have ended
 * as it has places, the old table points to the new one, and once V8 has moved one of them to the old generation all
 * later ones follow, with every stream they name and all that hangs on it: of 20 MB allocated 4.5 were copied to old space
 * by each scavenge, where 0.2 were alive.
 */
import type { Http2Stream } from './stream.ts';

/** A power of two. */
const PLACES = 16;

export class OpenStreams {
  /** At most half full. */
  private places: (Http2Stream | null)[] = new Array<null>(PLACES).fill(null);
  private mask = PLACES - 1;
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(id: number): Http2Stream | null {
    const { places, mask } = this;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = places[at] as Http2Stream | null;
      if (stream === null || stream.id === id) return stream;
    }
  }

  /** Its id must not be there yet. */
  add(stream: Http2Stream): void {
    if (2 * ++this.count > this.places.length) this.grow();
    this.put(stream);
  }

  /** Harmless for one that is not there. */
  remove(id: number): void {
    const { places, mask } = this;
    let gap = (id >>> 1) & mask;
    for (; places[gap]?.id !== id; gap = (gap + 1) & mask) if (places[gap] === null) return;
    this.count--;
    for (let at = (gap + 1) & mask; ; at = (at + 1) & mask) {
      const stream = places[at] as Http2Stream | null;
      if (stream === null) break;
      // It may not come to stand before its own place.
      const home = (stream.id >>> 1) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      places[gap] = stream;
      gap = at;
    }
    places[gap] = null;
  }

  /** A copy: streams may be removed meanwhile. In no order. */
  list(): Http2Stream[] {
    return this.places.filter((stream) => stream !== null);
  }

  private put(stream: Http2Stream): void {
    const { places, mask } = this;
    let at = (stream.id >>> 1) & mask;
    while (places[at] !== null) at = (at + 1) & mask;
    places[at] = stream;
  }

  private grow(): void {
    const streams = this.list();
    this.places = new Array<null>(2 * this.places.length).fill(null);
    this.mask = this.places.length - 1;
    for (const stream of streams) this.put(stream);
  }
}
