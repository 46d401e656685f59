/**
 * Keeps bytes that come in tiny pieces without keeping the pieces. A Buffer costs some 150 bytes of its own, and a
 * peer chooses the size of its chunks and DATA frames: 256 KiB that wait, in frames of one byte, would be 40 MB,
 * and a list of 262,144 entries that is slow to empty. Pieces are put together in blocks of 4 KiB.
 */

/** Larger pieces are worth a Buffer each. */
const SMALL_BYTES = 1_024;
const BLOCK_BYTES = 4 * 1_024;

const blocks = new WeakSet<ArrayBufferLike>();

/**
 * `last` and `chunk` as one piece of memory, which replaces `last`: what was written of it may still be read there.
 * Null: they are better kept apart. `last` belongs to the caller; `chunk` may be a view.
 */
export function joinSmall(last: Buffer | undefined, chunk: Buffer): Buffer | null {
  if (last === undefined || chunk.length > SMALL_BYTES) return null;
  const length = last.length + chunk.length;
  if (length > BLOCK_BYTES) return null;
  const start = last.byteOffset;
  if (blocks.has(last.buffer) && start + length <= BLOCK_BYTES) {
    const joined = Buffer.from(last.buffer, start, length);
    chunk.copy(joined, last.length);
    return joined;
  }
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  blocks.add(block.buffer);
  last.copy(block);
  chunk.copy(block, last.length);
  return block.subarray(0, length);
}
