/** What the demo starts and stops: ports, child processes, certificate, and that its file and its code agree. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { parse } from 'yaml';
import { makeCertificate } from '../../src/cli/demo/certificate.ts';
import { allPorts, takenPorts } from '../../src/cli/demo/ports.ts';
import { type Member, members, startShop } from '../../src/cli/demo/processes.ts';

const ROOT = new URL('../../', import.meta.url);

/** The demo's members on free ports, so that a demo on this machine is not disturbed. */
function anywhere(): Member[] {
  return members().map((member) => ({ ...member, port: 0 }));
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (pids.some(alive)) {
    assert.ok(performance.now() < deadline, `still there: ${pids.filter(alive).join(', ')}`);
    await wait(10);
  }
}

test('the demo file names exactly the ports that the demo checks', () => {
  const config = parse(readFileSync(new URL('config/demo.yaml', ROOT), 'utf8'));
  const addresses: string[] = [
    ...config.listeners.map(({ address }: { address: string }) => address),
    ...config.services.flatMap(({ endpoints }: { endpoints: Array<{ address: string }> }) =>
      endpoints.map(({ address }) => address),
    ),
    config.admin.address,
  ];
  const ports = new Set(addresses.map((address) => Number(address.replace('127.0.0.1:', ''))));
  assert.deepEqual([...ports].sort(), allPorts().sort());
});

test('a taken port is named in one line, with how to find who has it', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  t.after(() => holder.close());
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const line = await takenPorts([port]);
  assert.match(line ?? '', new RegExp(`^port ${port} is taken on 127\\.0\\.0\\.1: .*lsof.*${port}.*$`));
  assert.equal(await takenPorts([0]), null);
});

test('the shop starts, and leaves no process behind when it stops', async () => {
  const shop = await startShop(anywhere());
  assert.equal(shop.pids.length, 6);
  assert.ok(shop.pids.every(alive));
  await shop.stop();
  assert.ok(!shop.pids.some(alive));
});

test('a member that cannot listen ends the start with its name, and the others end too', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  t.after(() => holder.close());
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const list = anywhere().map((member) => (member.replica === 'cart-2' ? { ...member, port } : member));
  await assert.rejects(startShop(list), /the demo's cart-2 can't start: .*EADDRINUSE/);
});

test('the shop ends with its parent, also when that is killed', async () => {
  const program = `
    import { members, startShop } from ${JSON.stringify(new URL('src/cli/demo/processes.ts', ROOT).href)};
    const shop = await startShop(members().map((member) => ({ ...member, port: 0 })));
    console.log(JSON.stringify(shop.pids));`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const pids: number[] = JSON.parse(line);
  assert.equal(pids.length, 6);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await gone(pids);
});

test("the certificate's directory is there for the demo and gone after it", async () => {
  const certificate = await makeCertificate();
  assert.match(readFileSync(`${certificate.directory}/demo.pem`, 'utf8'), /BEGIN CERTIFICATE/);
  assert.match(readFileSync(`${certificate.directory}/demo.key`, 'utf8'), /PRIVATE KEY/);
  await certificate.remove();
  assert.equal(existsSync(certificate.directory), false);
});
