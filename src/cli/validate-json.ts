/** `outboard validate FILE --json`: the faults as data, for editors and CI. */
import { readFile } from 'node:fs/promises';
import { loadConfig } from '../config/load/index.ts';

/** The exit code, as `runValidate` gives it. */
export async function validateAsJson(file: string, print: (text: string) => void): Promise<number> {
  let content: Uint8Array;
  try {
    content = await readFile(file);
  } catch (error) {
    print(JSON.stringify({ valid: false, error: (error as Error).message, faults: [] }, null, 2));
    return 2;
  }
  const result = loadConfig(content, file);
  const faults = result.ok ? result.warnings : result.faults;
  print(JSON.stringify({ valid: result.ok, faults }, null, 2));
  return result.ok ? 0 : 1;
}
