/**
 * h2spec, strict, against listeners: in plain by prior knowledge, over TLS by ALPN, and in plain where HTTP/1.1 is told
 * apart. Prints each case that failed.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TLS, tlsSecrets } from '../exchange/tls.ts';
import { peer } from '../kit/peers.ts';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';

const h2spec = peer('h2spec');
const SUITES = ['generic', 'hpack', 'http2'];
/** Per case, in seconds: a busy machine must not look like a broken proxy. */
const TIMEOUT_S = 5;
/** Fewer would mean that a suite did not run: there are 146. */
const CASES_MIN = 140;

/** What is no HTTP/2 preface is HTTP/1.1 to a listener that detects: it answers 400 and closes. */
const NOT_HTTP2 = /^http2\/3\.5 Sends invalid connection preface: .* looked like an HTTP\/1\.1 header$/;

test('h2spec --strict passes over h2c', { skip: h2spec.skip }, (t) => run(t, 'protocol: http2', []));
test('h2spec --strict passes over TLS', { skip: h2spec.skip }, (t) => run(t, TLS, ['-t', '-k']));
test('h2spec --strict passes where HTTP/1.1 and HTTP/2 are told apart', { skip: h2spec.skip }, (t) =>
  run(t, 'protocol: auto', [], NOT_HTTP2),
);

async function run(
  t: TestContext,
  listener: string,
  flags: readonly string[],
  allowed = /^$/,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-h2spec-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const report = join(directory, 'report.xml');
  const backend = await httpBackend((request, response) => {
    request.resume();
    request.on('end', () => response.end('x'.repeat(256)));
  });
  const secrets = await tlsSecrets();
  await withProxy(
    // Who breaks the protocol in every second connection is kept out otherwise.
    `${oneService([backend.port], { listener })}callers: { offences: off }\n`,
    async ({ port }) => {
      const args = ['-S', '-o', String(TIMEOUT_S), '-p', String(port), '-j', report, ...flags, ...SUITES];
      const child = spawn(h2spec.path as string, args, { stdio: 'ignore' });
      await once(child, 'exit');
    },
    { secrets },
  );
  await backend.close();

  const { passed, skipped, failed } = read(readFileSync(report, 'utf8'));
  t.diagnostic(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`);
  assert.deepEqual(
    failed.filter((title) => !allowed.test(title)),
    [],
  );
  assert.deepEqual(skipped, []);
  assert.ok(passed.length >= CASES_MIN, `${passed.length} cases passed`);
}

/** JUnit's XML as h2spec writes it: one line an element, a case's title in `classname`. */
function read(xml: string): { passed: string[]; skipped: string[]; failed: string[] } {
  const outcome = { passed: [] as string[], skipped: [] as string[], failed: [] as string[] };
  for (const [, attributes = '', body = ''] of xml.matchAll(
    /<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs,
  )) {
    const attribute = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1] ?? '';
    const title = `${attribute('package')} ${attribute('classname')}`;
    if (/<skipped/.test(body)) outcome.skipped.push(title);
    else if (/<(failure|error)/.test(body))
      outcome.failed.push(`${title}: ${body.replace(/<[^>]*>|\s+/g, ' ').trim()}`);
    else outcome.passed.push(title);
  }
  return outcome;
}
