/**
 * A set of known field names, made once at module load and asked per field of every message: an array look-up
 * for a field that a codec has told apart, and for an added field a bit test on the length of its name, which
 * rules out nearly all before anything is lower-cased.
 */
import { nameIdOf, nameOfId } from './names.ts';

export class FieldSet {
  /** 1 at the id of each member. */
  readonly marks: Uint8Array = new Uint8Array(256);
  /** Bit n: a member's name has n letters. */
  private readonly lengths: number;

  /** `ids` from `H`. Names of 32 letters or more can't be members. */
  constructor(ids: readonly number[]) {
    let lengths = 0;
    for (const id of ids) {
      this.marks[id] = 1;
      lengths |= 1 << nameOfId(id).length;
    }
    this.lengths = lengths;
  }

  /** False for 0, which stands for any other name, and for a deleted field. */
  hasId(id: number): boolean {
    return this.marks[id] === 1;
  }

  /** `name` in whatever case. */
  hasName(name: string): boolean {
    return (
      name.length < 32 &&
      (this.lengths & (1 << name.length)) !== 0 &&
      this.marks[nameIdOf(name.toLowerCase())] === 1
    );
  }
}
