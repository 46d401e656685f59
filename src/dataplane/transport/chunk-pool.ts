/**
 * Memory for large body chunks on their way through. What was read lies in the thread's one read buffer and
 * must be copied when it can't be written at once; a fresh Buffer for each 64 KiB costs more than copying into it
 * (allocation and collection were 37 % of the CPU of 1 MB answers). So slabs are lent: `copyChunk` fills one,
 * and `SocketOut` gives it back when the kernel has taken the bytes. A chunk that is dropped unwritten is not
 * missed: the pool knows lent slabs only weakly. What will be needed after it was written must not lie in one.
 */

/** Smaller chunks get memory of their own: a slab that waits for a slow reader must not be mostly empty. */
export const LEND_BYTES = 32 * 1024;
/** Bytes of a slab: what one read may bring. */
export const SLAB_BYTES = 64 * 1024;
/** Slabs kept for reuse, per thread. */
const SLABS_KEPT = 256;

const free: Buffer[] = [];
const lent = new WeakMap<ArrayBufferLike, Buffer>();

/** An empty slab; it belongs to the caller until a chunk of it is given back. */
export function lendSlab(): Buffer {
  const slab = free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  lent.set(slab.buffer, slab);
  return slab;
}

/** A copy of `bytes`, in a slab when it is large; it belongs to the caller. */
export function copyChunk(bytes: Buffer): Buffer {
  if (bytes.length < LEND_BYTES || bytes.length > SLAB_BYTES) return Buffer.from(bytes);
  const slab = lendSlab();
  bytes.copy(slab);
  return slab.subarray(0, bytes.length);
}

/** True when `chunk` lies in a lent slab, which `returnChunk` gives back once nobody reads it any more. */
export function isLent(chunk: Buffer): boolean {
  return lent.has(chunk.buffer);
}

/** Gives the slab of `chunk` back; its bytes may change from now on. */
export function returnChunk(chunk: Buffer): void {
  const slab = lent.get(chunk.buffer);
  if (slab === undefined) return;
  lent.delete(chunk.buffer);
  if (free.length < SLABS_KEPT) free.push(slab);
}
