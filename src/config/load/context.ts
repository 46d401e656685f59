/**
 * What a check of meaning needs: where to put a fault, and whether it can be trusted. A part of the file
 * that has faults of shape was cut out before these checks run; `faultIfWhole` keeps silent where the cut
 * may be the reason for what it sees.
 */
import type { Path } from './source-text.ts';

export type Severity = 'error' | 'warning';

export interface FaultSpec {
  /** In the checked value. */
  readonly path: Path;
  readonly severity?: Severity;
  readonly expected: string;
  /** Default: what is written at `path`. */
  readonly found?: string;
  readonly cure?: string;
}

export interface CheckContext {
  fault(spec: FaultSpec): void;
  /** Unless something was cut out at or below `path`, or out of the mapping or list around it. */
  faultIfWhole(spec: FaultSpec): void;
  /** Whether nothing was cut out there: for a fault in one place of what is missing in another. */
  whole(path: Path): boolean;
  /** Line of a path, for "first used in line …". */
  lineOf(path: Path): number;
  /** Every name in the file, also of members that were cut. */
  readonly listenerNames: ReadonlySet<string>;
  readonly serviceNames: ReadonlySet<string>;
  /** Absolute, from the directory of the file. */
  resolvePath(path: string): string;
  readable(path: string): boolean;
}

/** A file that the configuration names has to be there. */
export function checkFile(context: CheckContext, path: Path, file: string | undefined): void {
  if (file === undefined) return;
  const absolute = context.resolvePath(file);
  if (context.readable(absolute)) return;
  const cure =
    absolute === file
      ? 'create it, or correct the path'
      : `looked for ${absolute}; paths start from the configuration file`;
  context.fault({ path, expected: 'a file that exists and may be read', cure });
}
