/**
 * `outboard validate FILE`: every fault of a configuration at once, in the form that editors and CI
 * systems make links of (file:line:column). The files it names are looked for; certificates and keys
 * are read by `run` alone, with the rights of the user it runs as.
 */
import { readFile, stat } from 'node:fs/promises';
import { LIMITS } from '../base/index.ts';
import { formatFault, loadConfig } from '../config/load/index.ts';

export interface ValidateIo {
  /** One line, or several, without the last line end. */
  out(text: string): void;
  err(text: string): void;
}

/** The exit code: 0 for a valid file, with or without warnings; 1 for one with errors; 2 when it can't be read. */
export async function runValidate(file: string, io: ValidateIo): Promise<number> {
  let content: Uint8Array;
  try {
    const { size } = await stat(file);
    if (size > LIMITS.configFileBytes)
      throw new Error(`it has ${size} bytes, more than ${LIMITS.configFileBytes}`);
    content = await readFile(file);
  } catch (error) {
    io.err(`${file}: can't be read: ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }
  const result = loadConfig(content, file);
  const faults = result.ok ? result.warnings : result.faults;
  for (const fault of faults) io.err(formatFault(fault));
  const errors = faults.filter((fault) => fault.severity === 'error').length;
  const tally = [count(errors, 'error'), count(faults.length - errors, 'warning')].filter(
    (part) => part !== '',
  );
  if (!result.ok) {
    io.err(`${file}: ${tally.join(', ')}`);
    return 1;
  }
  const { listeners, routes, services } = result.draft;
  const size = [
    count(listeners.length, 'listener'),
    count(routes.length, 'route'),
    count(services.length, 'service'),
  ];
  io.out(`${file}: valid (${[...size.filter((part) => part !== ''), ...tally].join(', ')})`);
  return 0;
}

function count(number: number, word: string): string {
  if (number === 0) return '';
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}
