/** What is installed and what is published: a lock that every npm takes, no install scripts, no Node in the package. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatFault, loadConfig } from '../../src/config/load/index.ts';

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Record<string, string>;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(ROOT + path, 'utf8');
const manifest = JSON.parse(read('package.json'));
const lock: { packages: Record<string, Locked> } = JSON.parse(read('package-lock.json'));

test('no dependency needs an install script, and each is pinned by its digest', () => {
  for (const [path, entry] of Object.entries(lock.packages)) {
    assert.equal(entry.hasInstallScript, undefined, `${path} has an install script`);
    if (path.startsWith('node_modules/') && !entry.link)
      assert.ok(entry.integrity, `${path} has no integrity`);
  }
});

test('the lock holds the packages of every platform, without which npm 11 refuses it', () => {
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      assert.ok(lock.packages[`node_modules/${name}`], `${path} names ${name}, which the lock lacks`);
    }
  }
});

test('versions are exact', () => {
  const runtime = JSON.parse(read('tools/runtime/package.json')).optionalDependencies;
  for (const [name, version] of Object.entries<string>({
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...runtime,
  })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name} ${version}`);
  }
});

test('the published package names no Node binary, and says which Node it needs', () => {
  const published = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
  assert.deepEqual(
    published.filter((name) => /^node-(?:bin-)?(?:linux|darwin)/.test(name)),
    [],
  );
  assert.match(manifest.engines.node, /^>=\d+\.\d+\.\d+$/);
});

test('the configurations that come along are valid', () => {
  for (const file of ['config/demo.yaml', 'docker/outboard.yaml']) {
    const result = loadConfig(read(file), file, { fileReadable: () => true });
    assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'));
  }
});
