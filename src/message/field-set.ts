/** A set of known field names, made once at module load and asked per field of every message. */

export class FieldSet {
  /** 1 at the id of each member. */
  readonly marks: Uint8Array = new Uint8Array(256);
  /** The members as bits, laid out as in HeaderList: does a list hold any of them? */
  readonly low: number;
  readonly high: number;

  /** `ids` from `H`. */
  constructor(ids: readonly number[]) {
    let low = 0;
    let high = 0;
    for (const id of ids) {
      this.marks[id] = 1;
      if (id < 32) low |= 1 << id;
      else high |= 1 << id;
    }
    this.low = low;
    this.high = high;
  }

  /** False for 0, which stands for any other name, and for a deleted field. */
  hasId(id: number): boolean {
    return this.marks[id] === 1;
  }
}
