/** Files that change while the proxy runs: in place, renamed over, swapped as kubelet does, half written. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/index.ts';
import type { SecretSet } from '../../src/config/index.ts';
import { type SecretFault, SecretRotation, SecretStore } from '../../src/controlplane/identity/index.ts';
import { createCa, issueCertificate } from '../kit/certs.ts';

const ca = createCa({ commonName: 'root' });
const issue = () => issueCertificate(ca, { commonName: 'web.shop', dnsNames: ['web.shop'] });

interface Rig {
  readonly directory: string;
  readonly store: SecretStore;
  readonly loads: (readonly SecretFault[])[];
  /** Waits until the published set, or the faults of the last load, satisfy the condition. */
  until(what: string, holds: () => boolean): Promise<void>;
  serial(): string | undefined;
}

async function withRotation(
  options: { prepare(directory: string): void; pollMs?: number },
  fn: (rig: Rig) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-rotation-'));
  options.prepare(directory);
  const checks = new Set<() => void>();
  const look = () => {
    for (const check of checks) check();
  };
  const loads: (readonly SecretFault[])[] = [];
  const store = new SecretStore(systemClock, look);
  const refs = {
    certificates: [
      {
        name: 'web',
        certFile: join(directory, 'tls.crt'),
        keyFile: join(directory, 'tls.key'),
        ocspFile: null,
      },
    ],
    bundles: [],
  };
  const rotation = new SecretRotation({
    store,
    refs,
    clock: systemClock,
    debounceMs: 10,
    pollMs: options.pollMs ?? 3_600_000,
    onLoaded(faults) {
      loads.push(faults);
      look();
    },
  });
  const until = (what: string, holds: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${what} did not happen within 5 s`)), 5_000);
      const check = () => {
        if (!holds()) return;
        clearTimeout(late);
        checks.delete(check);
        resolve();
      };
      checks.add(check);
      check();
    });
  try {
    await rotation.start();
    await fn({ directory, store, loads, until, serial: () => store.current.certificates[0]?.serial });
  } finally {
    rotation.stop();
    rmSync(directory, { recursive: true });
  }
}

function put(directory: string, { certPem, keyPem }: { certPem: string; keyPem: string }): void {
  writeFileSync(join(directory, 'tls.crt'), certPem);
  writeFileSync(join(directory, 'tls.key'), keyPem);
}

test('files written in place are loaded', async () => {
  const [first, second] = [issue(), issue()];
  await withRotation({ prepare: (directory) => put(directory, first) }, async (rig) => {
    assert.equal(rig.serial(), first.serial);
    put(rig.directory, second);
    await rig.until('the new certificate', () => rig.serial() === second.serial);
  });
});

test('files renamed over are loaded, time and again', async () => {
  await withRotation({ prepare: (directory) => put(directory, issue()) }, async (rig) => {
    for (let i = 0; i < 3; i++) {
      const next = issue();
      writeFileSync(join(rig.directory, 'new.crt'), next.certPem);
      writeFileSync(join(rig.directory, 'new.key'), next.keyPem);
      renameSync(join(rig.directory, 'new.key'), join(rig.directory, 'tls.key'));
      renameSync(join(rig.directory, 'new.crt'), join(rig.directory, 'tls.crt'));
      await rig.until(`rotation ${i}`, () => rig.serial() === next.serial);
    }
  });
});

test("kubelet's swap of ..data is seen", async () => {
  const [first, second] = [issue(), issue()];
  const version = (directory: string, name: string, issued: typeof first) => {
    mkdirSync(join(directory, name));
    put(join(directory, name), issued);
  };
  const prepare = (directory: string) => {
    version(directory, '..v1', first);
    symlinkSync('..v1', join(directory, '..data'));
    symlinkSync('..data/tls.crt', join(directory, 'tls.crt'));
    symlinkSync('..data/tls.key', join(directory, 'tls.key'));
  };
  await withRotation({ prepare }, async (rig) => {
    assert.equal(rig.serial(), first.serial);
    version(rig.directory, '..v2', second);
    symlinkSync('..v2', join(rig.directory, '..data_tmp'));
    renameSync(join(rig.directory, '..data_tmp'), join(rig.directory, '..data'));
    rmSync(join(rig.directory, '..v1'), { recursive: true });
    await rig.until('the new version', () => rig.serial() === second.serial);
  });
});

test('a half-written pair is never published; the last good one stays, with a fault', async () => {
  const [first, second] = [issue(), issue()];
  const published: (string | undefined)[] = [];
  await withRotation({ prepare: (directory) => put(directory, first) }, async (rig) => {
    writeFileSync(join(rig.directory, 'tls.crt'), second.certPem);
    await rig.until('the fault', () => (rig.loads.at(-1)?.length ?? 0) > 0);
    published.push(rig.serial());
    assert.match(rig.loads.at(-1)?.[0]?.message ?? '', /does not belong to the certificate/);
    writeFileSync(join(rig.directory, 'tls.key'), second.keyPem);
    await rig.until('the whole pair', () => rig.serial() === second.serial);
    await rig.until('the end of the fault', () => rig.loads.at(-1)?.length === 0);
    assert.deepEqual(published, [first.serial]);
  });
});

test('a file removed and put back is loaded; in between the last good one stays', async () => {
  const [first, second] = [issue(), issue()];
  await withRotation({ prepare: (directory) => put(directory, first) }, async (rig) => {
    unlinkSync(join(rig.directory, 'tls.key'));
    await rig.until('the fault', () => rig.loads.at(-1)?.[0]?.message === 'no such file');
    assert.equal(rig.serial(), first.serial);
    put(rig.directory, second);
    await rig.until('the new certificate', () => rig.serial() === second.serial);
  });
});

test('a change behind a link, which no event tells, is found by the poll', async () => {
  const [first, second] = [issue(), issue()];
  const far = mkdtempSync(join(tmpdir(), 'outboard-far-'));
  try {
    const prepare = (directory: string) => {
      put(far, first);
      symlinkSync(join(far, 'tls.crt'), join(directory, 'tls.crt'));
      symlinkSync(join(far, 'tls.key'), join(directory, 'tls.key'));
    };
    await withRotation({ prepare, pollMs: 20 }, async (rig) => {
      put(far, second);
      await rig.until('the new certificate', () => rig.serial() === second.serial);
    });
  } finally {
    rmSync(far, { recursive: true });
  }
});

test('a directory that appears later is watched from then on', async () => {
  const [first, second] = [issue(), issue()];
  const prepare = (directory: string) => rmSync(directory, { recursive: true });
  await withRotation({ prepare, pollMs: 20 }, async (rig) => {
    assert.equal(rig.serial(), undefined);
    mkdirSync(rig.directory);
    put(rig.directory, first);
    await rig.until('the first certificate', () => rig.serial() === first.serial);
    put(rig.directory, second);
    await rig.until('the second certificate', () => rig.serial() === second.serial);
  });
});

test('nothing is published when nothing changed', async () => {
  const published: SecretSet[] = [];
  const store = new SecretStore(systemClock, (set) => published.push(set));
  const { certPem, keyPem } = issue();
  const refs = {
    certificates: [{ name: 'web', certPem, keyPem }],
    bundles: [{ name: 'ca', caPem: ca.certPem }],
  };
  await store.load(refs);
  await store.load(refs);
  assert.equal(published.length, 1);
  store.setTicketKeys([new Uint8Array(48)]);
  await store.load({ ...refs, bundles: [] });
  assert.deepEqual(
    published.map((set) => [set.version, set.bundles.length, set.ticketKeys.length]),
    [
      [1, 1, 0],
      [2, 1, 1],
      [3, 0, 1],
    ],
  );
});
