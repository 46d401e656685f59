/** Whose address the access log tells: the peer's, or the client's that trusted proxies named. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';

/** The address in the log line of one request that came with this `x-forwarded-for`. */
async function loggedAddress(listener: string, forwardedFor: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-test-'));
  const path = join(directory, 'access.log');
  const backend = await httpBackend((_request, response) => response.end('ok'));
  try {
    await withProxy(
      `${oneService([backend.port], { listener })}accessLog: { path: ${path} }\n`,
      async (proxy) => {
        const client = await RawClient.connect(proxy.port);
        client.send(`GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${forwardedFor}\r\n\r\n`);
        await client.until((text) => text.endsWith('ok'));
        client.destroy();
      },
    );
    return (JSON.parse(readFileSync(path, 'utf8')) as { downstream_remote_address: string })
      .downstream_remote_address;
  } finally {
    await backend.close();
    rmSync(directory, { recursive: true });
  }
}

test('without trusted hops the log tells the peer, whatever the client claims', async () => {
  assert.match(await loggedAddress('', '203.0.113.9'), /^127\.0\.0\.1:[1-9][0-9]*$/);
});

test('with one trusted hop the log tells the last client named, and no further one', async () => {
  assert.equal(await loggedAddress('trustedHops: 1', '198.51.100.7, 203.0.113.9'), '203.0.113.9:0');
});
