/** `npm run bench:micro [NAME…]`: every micro-benchmark beside this file, or the named ones, one process each. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))
  .sort();
const wanted = process.argv.length > 2 ? process.argv.slice(2) : names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`no micro-benchmark ${unknown.join(', ')}; there are ${names.join(', ')}\n`);
  process.exitCode = 2;
} else {
  for (const name of wanted) {
    process.stdout.write(`# ${name}\n`);
    const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exitCode = 1;
  }
}
