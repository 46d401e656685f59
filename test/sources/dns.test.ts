import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ResolvedAddress, Resolver } from '../../src/controlplane/sources/index.ts';
import { configText, type Said, withSource } from './kit.ts';

/** Answers that a test changes while the source runs; an Error rejects, a promise is waited for. */
class Zone {
  readonly answers = new Map<string, readonly string[] | Error | Promise<readonly string[]>>();
  lookups = 0;
  running = 0;
  mostRunning = 0;

  readonly resolver: Resolver = async (name) => {
    this.lookups++;
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      const answer = await (this.answers.get(name) ?? new Error('ENOTFOUND'));
      if (answer instanceof Error) throw answer;
      return answer.map((address): ResolvedAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
    } finally {
      this.running--;
    }
  };
}

const dns = (name: string, more = '') =>
  `  - { name: ${name}, dns: "${name}.local:80", dnsRefreshRate: 100ms${more} }\n`;

function endpointsOf(said: Said, service = 0): readonly string[] {
  assert.equal(said.type, 'config', JSON.stringify(said));
  if (said.type !== 'config') return [];
  return (said.input.draft.services[service]?.endpoints ?? []).map((at) => `${at.address}:${at.port}`);
}

function causeOf(said: Said): string {
  return said.type === 'config' ? said.input.cause : said.type;
}

test('the addresses of a name are endpoints, sorted, each once', async () => {
  const zone = new Zone();
  zone.answers.set('a.local', ['10.0.0.2', '10.0.0.1', '10.0.0.2', 'fd00::1']);
  await withSource({ resolver: zone.resolver }, async ({ file, source, next }) => {
    writeFileSync(file, configText(1, `services:\n${dns('a')}`));
    assert.equal(await source.start(), true);
    assert.deepEqual(endpointsOf(await next()), ['10.0.0.1:80', '10.0.0.2:80']);
  });
});

test('the family of addresses is chosen as in Envoy', async () => {
  const zone = new Zone();
  for (const name of ['a', 'b', 'c', 'd', 'e']) zone.answers.set(`${name}.local`, ['10.0.0.1', 'fd00::1']);
  zone.answers.set('f.local', ['fd00::1']);
  const families = ['V4_ONLY', 'V6_ONLY', 'AUTO', 'ALL', 'V4_PREFERRED', 'V4_PREFERRED'];
  await withSource({ resolver: zone.resolver }, async ({ file, source, next }) => {
    const services = families
      .map((family, i) => dns('abcdef'[i] as string, `, dnsLookupFamily: ${family}`))
      .join('');
    writeFileSync(file, configText(1, `services:\n${services}`));
    await source.start();
    const said = await next();
    assert.deepEqual(
      families.map((_, i) => endpointsOf(said, i).join()),
      ['10.0.0.1:80', 'fd00::1:80', 'fd00::1:80', '10.0.0.1:80,fd00::1:80', '10.0.0.1:80', 'fd00::1:80'],
    );
  });
});

test('a changed answer is published, the same one in another order is not', async () => {
  const zone = new Zone();
  zone.answers.set('a.local', ['10.0.0.1', '10.0.0.2']);
  await withSource({ resolver: zone.resolver }, async ({ file, source, next, pending }) => {
    writeFileSync(file, configText(1, `services:\n${dns('a')}`));
    await source.start();
    await next();
    zone.answers.set('a.local', ['10.0.0.2', '10.0.0.1']);
    const before = zone.lookups;
    while (zone.lookups < before + 2) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(pending, []);
    zone.answers.set('a.local', ['10.0.0.3']);
    const said = await next();
    assert.equal(causeOf(said), 'dns');
    assert.deepEqual(endpointsOf(said), ['10.0.0.3:80']);
  });
});

test('a look-up that fails keeps the last answer, and is told once per outage', async () => {
  const zone = new Zone();
  zone.answers.set('a.local', ['10.0.0.1']);
  await withSource({ resolver: zone.resolver }, async ({ file, source, next, pending }) => {
    writeFileSync(file, configText(1, `services:\n${dns('a')}`));
    await source.start();
    await next();
    zone.answers.set('a.local', new Error('SERVFAIL'));
    assert.deepEqual(await next(), { type: 'unresolved', service: 'a', name: 'a.local' });
    const before = zone.lookups;
    while (zone.lookups < before + 2) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(pending, []);
    await source.reload();
    assert.deepEqual(endpointsOf(await next()), ['10.0.0.1:80']);
    zone.answers.set('a.local', ['10.0.0.2']);
    assert.deepEqual(endpointsOf(await next()), ['10.0.0.2:80']);
  });
});

test('a name that nobody answers delays the start by the stated time at most, and comes in later', async () => {
  const zone = new Zone();
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  zone.answers.set('a.local', promise);
  await withSource({ resolver: zone.resolver, resolveWaitMs: 10 }, async ({ file, source, next }) => {
    writeFileSync(file, configText(1, `services:\n${dns('a')}`));
    assert.equal(await source.start(), true);
    assert.deepEqual(endpointsOf(await next()), []);
    resolve(['10.0.0.1']);
    const said = await next();
    assert.equal(causeOf(said), 'dns');
    assert.deepEqual(endpointsOf(said), ['10.0.0.1:80']);
  });
});

test('a reload keeps what is known, and looks up new names before it hands over', async () => {
  const zone = new Zone();
  zone.answers.set('a.local', ['10.0.0.1']);
  zone.answers.set('b.local', ['10.0.0.2']);
  await withSource({ resolver: zone.resolver }, async ({ file, source, next }) => {
    writeFileSync(file, configText(1, `services:\n${dns('a')}`));
    await source.start();
    await next();
    zone.answers.set('a.local', Promise.withResolvers<readonly string[]>().promise);
    writeFileSync(file, configText(1, `services:\n${dns('b')}${dns('a', ', panicThreshold: 3')}`));
    await source.reload();
    const said = await next();
    assert.deepEqual([endpointsOf(said, 0), endpointsOf(said, 1)], [['10.0.0.2:80'], ['10.0.0.1:80']]);
  });
});

test('at most two look-ups run at a time', async () => {
  const zone = new Zone();
  const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
  for (const name of names) zone.answers.set(`${name}.local`, ['10.0.0.1']);
  await withSource({ resolver: zone.resolver }, async ({ file, source, next }) => {
    writeFileSync(file, configText(1, `services:\n${names.map((name) => dns(name)).join('')}`));
    await source.start();
    const said = await next();
    assert.ok(names.every((_, i) => endpointsOf(said, i).length === 1));
    assert.ok(zone.mostRunning <= 2, `${zone.mostRunning} at a time`);
  });
});

test("the system's resolver knows localhost", async () => {
  await withSource({}, async ({ file, source, next }) => {
    writeFileSync(file, configText(1, 'services: [{ name: a, dns: "localhost:80" }]\n'));
    await source.start();
    const [first] = endpointsOf(await next());
    assert.match(first ?? '', /^(127\.0\.0\.1|::1):80$/);
  });
});

test('a service whose addresses did not change is the same object in the next configuration', async () => {
  const zone = new Zone();
  zone.answers.set('a.local', ['10.0.0.1']);
  zone.answers.set('b.local', ['10.0.0.2']);
  await withSource({ resolver: zone.resolver }, async ({ file, source, next }) => {
    writeFileSync(file, configText(1, `services:\n${dns('a')}${dns('b')}`));
    await source.start();
    const first = await next();
    zone.answers.set('b.local', ['10.0.0.3']);
    const second = await next();
    assert.ok(first.type === 'config' && second.type === 'config');
    assert.deepEqual(endpointsOf(second, 1), ['10.0.0.3:80']);
    assert.equal(second.input.draft.services[0], first.input.draft.services[0]);
  });
});
