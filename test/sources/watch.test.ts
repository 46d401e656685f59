import assert from 'node:assert/strict';
import { type FSWatcher, mkdtempSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FileWatch } from '../../src/controlplane/sources/watch.ts';

/** Far longer than a test: whatever is told is told without waiting. */
const NEVER_MS = 3_600_000;

interface Rig {
  readonly file: string;
  readonly watch: FileWatch;
  changes: number;
  /** Resolves with the next change. */
  changed(): Promise<void>;
  /** Resolves when the watch has had every event so far, and time to look. */
  delivered(): Promise<void>;
}

async function withWatch(settleMs: number, run: (rig: Rig) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-watch-'));
  const file = join(directory, 'c.yaml');
  let next = Promise.withResolvers<void>();
  const alive = setInterval(() => undefined, 60_000);
  const events = new Map<string, () => void>();
  const rig: Rig = {
    file,
    changes: 0,
    watch: new FileWatch({
      file,
      settleMs,
      pollMs: NEVER_MS,
      onChange: () => {
        rig.changes++;
        next.resolve();
        next = Promise.withResolvers<void>();
      },
      onPoll: () => undefined,
    }),
    changed: () => next.promise,
    async delivered() {
      const name = `marker-${events.size}`;
      const seen = new Promise<void>((resolve) => events.set(name, resolve));
      writeFileSync(join(directory, name), '');
      await seen;
      for (let i = 0; i < 10; i++) {
        await stat(directory);
        await turn();
      }
    },
  };
  let own: FSWatcher | null = null;
  try {
    writeFileSync(file, 'one');
    await rig.watch.seen();
    await rig.watch.start();
    own = watch(directory, (_, name) => events.get(name ?? '')?.());
    await rig.delivered();
    await run(rig);
  } finally {
    rig.watch.stop();
    own?.close();
    clearInterval(alive);
    rmSync(directory, { recursive: true, force: true });
  }
}

const LINUX = { skip: process.platform !== 'linux' && 'events are exact on Linux only' };

test('a file that was renamed over the old one is told at once, each time', LINUX, async () => {
  await withWatch(NEVER_MS, async (rig) => {
    for (let i = 0; i < 5; i++) {
      const changed = rig.changed();
      writeFileSync(`${rig.file}.new`, `number ${i}`);
      renameSync(`${rig.file}.new`, rig.file);
      await changed;
    }
    await rig.delivered();
    assert.equal(rig.changes, 5);
  });
});

test('a file that is removed and written anew has to rest first', async () => {
  await withWatch(NEVER_MS, async (rig) => {
    rmSync(rig.file);
    writeFileSync(rig.file, 'the first ha');
    await rig.delivered();
    assert.equal(rig.changes, 0);
  });
});

test('so has one that is moved away and written anew, as editors do', async () => {
  await withWatch(NEVER_MS, async (rig) => {
    renameSync(rig.file, `${rig.file}~`);
    await rig.delivered();
    writeFileSync(rig.file, 'the first ha');
    await rig.delivered();
    assert.equal(rig.changes, 0);
  });
});

test('so has one that is written in place', async () => {
  await withWatch(NEVER_MS, async (rig) => {
    writeFileSync(rig.file, 'the first ha');
    await rig.delivered();
    assert.equal(rig.changes, 0);
  });
  await withWatch(1, async (rig) => {
    const changed = rig.changed();
    writeFileSync(rig.file, 'all of it');
    await changed;
  });
});
