import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configText, type Rig, type Said, withSource } from './kit.ts';

function portOf(said: Said): number | undefined {
  assert.equal(said.type, 'config', JSON.stringify(said));
  return said.type === 'config' ? said.input.draft.listeners[0]?.port : undefined;
}

/** The port of the next configuration; the same file may be told twice by two events. */
async function nextPort(rig: Rig): Promise<number | undefined> {
  return portOf(await rig.next());
}

test('hands over the file at start, and tells its state', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    assert.deepEqual(rig.source.state(), {
      file: rig.file,
      accepted: 0,
      rejected: 0,
      lastGoodAtMs: null,
      lastError: null,
    });
    assert.equal(await rig.source.start(), true);
    const said = await rig.next();
    assert.equal(portOf(said), 1);
    assert.equal(said.type === 'config' && said.input.cause, 'file');
    assert.deepEqual(rig.source.state(), {
      file: rig.file,
      accepted: 1,
      rejected: 0,
      lastGoodAtMs: rig.clock.wallMs(),
      lastError: null,
    });
  });
});

test('a file that is missing at start is a fault, and is taken when it appears', async () => {
  await withSource({}, async (rig) => {
    assert.equal(await rig.source.start(), false);
    const said = await rig.next();
    assert.equal(said.type === 'rejected' && said.faults[0]?.found, 'ENOENT');
    writeFileSync(`${rig.file}.new`, configText(2));
    renameSync(`${rig.file}.new`, rig.file);
    assert.equal(await nextPort(rig), 2);
  });
});

test('notices a file that is written in place', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    assert.equal(await nextPort(rig), 1);
    for (let port = 2; port < 6; port++) {
      writeFileSync(rig.file, configText(port));
      assert.equal(await nextPort(rig), port);
    }
  });
});

test('notices a file that an editor renames over it', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    assert.equal(await nextPort(rig), 1);
    for (let port = 2; port < 6; port++) {
      writeFileSync(join(rig.directory, '.c.yaml.swp'), configText(port));
      renameSync(join(rig.directory, '.c.yaml.swp'), rig.file);
      assert.equal(await nextPort(rig), port);
    }
  });
});

test("notices kubelet's swap of ..data", async () => {
  await withSource({}, async (rig) => {
    const publish = (port: number): void => {
      const version = `..v${port}`;
      mkdirSync(join(rig.directory, version));
      writeFileSync(join(rig.directory, version, 'c.yaml'), configText(port));
      symlinkSync(version, join(rig.directory, '..data_tmp'));
      renameSync(join(rig.directory, '..data_tmp'), join(rig.directory, '..data'));
    };
    publish(1);
    symlinkSync('..data/c.yaml', rig.file);
    await rig.source.start();
    assert.equal(await nextPort(rig), 1);
    for (let port = 2; port < 6; port++) {
      publish(port);
      rmSync(join(rig.directory, `..v${port - 1}`), { recursive: true });
      assert.equal(await nextPort(rig), port);
    }
  });
});

test('a directory that is replaced is watched again, by the poll', async () => {
  await withSource({ pollMs: 10 }, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    assert.equal(await nextPort(rig), 1);
    for (let port = 2; port < 4; port++) {
      const other = `${rig.directory}.${port}`;
      mkdirSync(other);
      writeFileSync(join(other, 'c.yaml'), configText(port));
      renameSync(rig.directory, `${other}.old`);
      renameSync(other, rig.directory);
      // The file was missing for a moment, which the source may have seen.
      let said = await rig.next();
      while (said.type === 'rejected') said = await rig.next();
      assert.equal(portOf(said), port);
      rmSync(`${other}.old`, { recursive: true });
    }
  });
});

test('a bad file is refused and told, and the last good one stays', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    await rig.next();
    rig.clock.advance(1000);
    writeFileSync(rig.file, `${configText(2)}nonsense: 1\nworkers: none\n`);
    const said = await rig.next();
    assert.equal(said.type, 'rejected');
    assert.deepEqual(said.type === 'rejected' && said.faults.map((fault) => `${fault.file} ${fault.path}`), [
      `${rig.file} nonsense`,
      `${rig.file} workers`,
    ]);
    const state = rig.source.state();
    assert.equal(state.rejected, 1);
    assert.equal(state.lastGoodAtMs, rig.clock.wallMs() - 1000);
    assert.equal(state.lastError?.length, 2);
    writeFileSync(rig.file, configText(3));
    assert.equal(await nextPort(rig), 3);
    assert.equal(rig.source.state().lastError, null);
  });
});

test('going back to the good content after a bad one puts the error right', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    await rig.next();
    writeFileSync(rig.file, 'bad');
    assert.equal((await rig.next()).type, 'rejected');
    writeFileSync(rig.file, configText(1));
    assert.equal(await nextPort(rig), 1);
    assert.equal(rig.source.state().lastError, null);
  });
});

test('a file that was refused for a missing certificate is taken when the certificate comes', async () => {
  await withSource({ pollMs: 10 }, async (rig) => {
    const tls = 'tls: { certificates: [{ certFile: a.pem, keyFile: a.key }] }';
    writeFileSync(rig.file, configText(1).replace('":1"', `":1", ${tls}`));
    assert.equal(await rig.source.start(), false);
    assert.equal((await rig.next()).type, 'rejected');
    assert.equal(rig.source.state().rejected, 1);
    writeFileSync(join(rig.directory, 'a.key'), '');
    writeFileSync(join(rig.directory, 'a.pem'), '');
    let said = await rig.next();
    // It may have looked between the two.
    if (said.type === 'rejected') said = await rig.next();
    assert.equal(portOf(said), 1);
  });
});

test('reload reads at once, also what has not changed; a touch alone does nothing', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    await rig.next();
    utimesSync(rig.file, 1, 1);
    assert.equal(await rig.source.reload(), true);
    assert.equal(await nextPort(rig), 1);
    writeFileSync(rig.file, 'bad');
    assert.equal(await rig.source.reload(), false);
    assert.equal((await rig.next()).type, 'rejected');
    assert.equal(rig.source.state().accepted, 2);
  });
});

test('reloads that are asked for at once are done one after the other', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    const results = await Promise.all([rig.source.start(), rig.source.reload(), rig.source.reload()]);
    assert.deepEqual(results, [true, true, true]);
    assert.equal(rig.source.state().accepted, 3);
    assert.equal(rig.pending.length, 3);
  });
});

test('says nothing after stop', async () => {
  await withSource({}, async (rig) => {
    writeFileSync(rig.file, configText(1));
    await rig.source.start();
    await rig.next();
    const reload = rig.source.reload();
    rig.source.stop();
    assert.equal(await reload, false);
    assert.deepEqual(rig.pending, []);
  });
});

test('a path that is a directory is told as such', async () => {
  await withSource({}, async (rig) => {
    mkdirSync(rig.file);
    assert.equal(await rig.source.start(), false);
    const said = await rig.next();
    assert.equal(said.type === 'rejected' && said.faults[0]?.cure, 'name the file, not its directory');
  });
});
