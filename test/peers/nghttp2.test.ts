/**
 * nghttp2's programs, the reference for HTTP/2, on both sides: nghttpd behind the proxy, h2load and nghttp in front
 * of it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TLS, tlsSecrets } from '../exchange/tls.ts';
import { peer } from '../kit/peers.ts';
import { run, whileListening } from '../kit/program.ts';
import { freePort, type TestProxy, until, withProxy } from '../kit/proxy.ts';
import { oneService } from '../kit/raw.ts';

const nghttpd = peer('nghttpd');
const h2load = peer('h2load');
const nghttp = peer('nghttp');
const skip = nghttpd.skip || h2load.skip || nghttp.skip;
const REQUESTS = 10_000;
const UPLOAD_BYTES = 1 << 20;

const directory = mkdtempSync(join(tmpdir(), 'outboard-nghttp2-'));
after(() => rmSync(directory, { recursive: true }));
writeFileSync(join(directory, 'index.html'), 'hello\n');
writeFileSync(join(directory, 'upload'), pattern(UPLOAD_BYTES));

/** Letters only, so that programs' outputs can be compared as text. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = 97 + ((at + (at >> 8)) % 26);
  return bytes;
}

async function withNghttpd(
  flags: readonly string[],
  listener: string,
  use: (proxy: TestProxy, nghttpdSaid: () => string) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const args = ['--no-tls', '-a', '127.0.0.1', '-d', directory, ...flags, String(port)];
  const secrets = await tlsSecrets();
  const config = oneService([port], { listener, service: 'protocol: http2' });
  await whileListening(nghttpd.path as string, args, port, (output) =>
    withProxy(config, (proxy) => use(proxy, output), { secrets }),
  );
}

for (const [name, scheme, listener] of [
  ['h2c', 'http', ''],
  ['TLS', 'https', TLS],
] as const) {
  test(`h2load gets all of its answers from nghttpd, over ${name}`, { skip }, (t) =>
    withNghttpd([], listener, async ({ port }) => {
      const args = ['-n', String(REQUESTS), '-c', '8', '-m', '16', `${scheme}://127.0.0.1:${port}/`];
      const { output } = await run(h2load.path as string, args);
      assert.match(output, new RegExp(`${REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout`), output);
      assert.match(output, new RegExp(`status codes: ${REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx`), output);
      t.diagnostic(/finished in .*/.exec(output)?.[0] ?? '');
    }),
  );
}

test('nghttp: an upload comes back whole, with padding, CONTINUATION and trailers both ways', { skip }, () =>
  withNghttpd(
    ['-v', '--echo-upload', '--padding=100', '--trailer=x-end: server'],
    '',
    async (proxy, said) => {
      const url = `http://127.0.0.1:${proxy.port}/echo`;
      const upload = `--data=${join(directory, 'upload')}`;
      const flags = ['--padding=200', '--continuation', '--trailer=x-end: client', upload];
      const body = await run(nghttp.path as string, [...flags, url]);
      assert.ok(
        body.output === pattern(UPLOAD_BYTES).toString(),
        `${body.output.length} characters came back`,
      );
      const frames = await run(nghttp.path as string, [...flags, '-nv', url]);
      assert.match(frames.output, /:status: 200/);
      assert.match(frames.output, /x-end: server/);
      await until(() => said().includes('x-end: client'), 'trailers at nghttpd');
    },
  ),
);

test('nghttp upgrades from HTTP/1.1 by `Upgrade: h2c`', { skip }, () =>
  withNghttpd([], '', async ({ port }) => {
    const { output } = await run(nghttp.path as string, ['-u', '-v', `http://127.0.0.1:${port}/`]);
    assert.match(output, /HTTP Upgrade success/);
    assert.match(output, /:status: 200/);
    assert.match(output, /hello/);
  }),
);
