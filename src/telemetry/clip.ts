/**
 * Client-chosen text is cut before it is kept: a request target may be 16 KiB and a header field 60, and a
 * trace store that held them whole would let a client fill the supervisor's memory.
 */
import { LIMITS } from '../base/index.ts';

/** The text, or as much of its beginning as is kept, ended by `…`. */
export function clip(text: string): string {
  return text.length <= LIMITS.recordedTextChars ? text : `${text.slice(0, LIMITS.recordedTextChars - 1)}…`;
}
