/** Descriptors of this process, as Linux tells them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';

/** How many the process may have open (RLIMIT_NOFILE, the soft one); Infinity where the system does not say. */
export function descriptorsMax(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? Number.POSITIVE_INFINITY : Number(line[1]);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How many are open, in all threads; 0 where the system does not say. */
export function descriptorsOpen(): number {
  try {
    // Since Linux 6.2 the size of the directory is their number; before, it was 0 and they have to be listed.
    return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
