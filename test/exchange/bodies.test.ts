/**
 * Bodies arrive whole and in order, whatever their size and however they are cut into pieces, in both
 * directions at once: reads share one buffer, large pieces lie in memory that is used again, and a
 * retry sends a body a second time.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { test } from 'node:test';
import { type TestProxy, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService } from '../kit/raw.ts';
import { ca, TLS, tlsSecrets } from './tls.ts';

/** Around every size at which a piece is handled in another way, and some beyond. */
const SIZES = [1, 8_192, 8_193, 16_384, 32_767, 32_768, 65_535, 65_536, 65_537, 200_000, 1_048_577];
const AT_ONCE = 8;

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function bytes(length: number, next: () => number): Buffer {
  const made = Buffer.alloc(length);
  for (let i = 0; i + 4 <= length; i += 4) made.writeUInt32LE((next() * 2 ** 32) >>> 0, i);
  return made;
}

const sum = (body: Buffer): string => createHash('sha1').update(body).digest('hex');

/** Sends `body` in pieces and gives back what the answer's body is. */
async function exchanged(
  proxy: TestProxy,
  secure: boolean,
  body: Buffer,
  chunked: boolean,
  next: () => number,
): Promise<Buffer> {
  const options = {
    port: proxy.port,
    host: '127.0.0.1',
    method: 'PUT',
    agent: false,
    headers: chunked ? {} : { 'content-length': body.length },
  };
  const request = secure
    ? httpsRequest({ ...options, ca: ca.certPem, servername: 'web' })
    : httpRequest(options);
  const answer = once(request, 'response') as Promise<[IncomingMessage]>;
  for (let at = 0; at < body.length; ) {
    const end = Math.min(body.length, at + 1 + Math.floor(next() * 100_000));
    if (!request.write(body.subarray(at, end))) await once(request, 'drain');
    at = end;
  }
  request.end();
  const [response] = await answer;
  assert.equal(response.statusCode, 200);
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

for (const secure of [false, true]) {
  test(`bodies of all sizes come back as they were sent, ${secure ? 'TLS' : 'plain'}`, async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`SEED=${seed}`);
    const next = random(seed);
    const backend = await httpBackend((request, response) => {
      request.pipe(response);
    });
    await withProxy(
      oneService([backend.port], secure ? { listener: TLS } : {}),
      async (proxy) => {
        for (const size of SIZES) {
          const bodies = Array.from({ length: AT_ONCE }, () => bytes(size, next));
          const back = await Promise.all(
            bodies.map((body, i) => exchanged(proxy, secure, body, i % 2 === 0, next)),
          );
          bodies.forEach((body, i) => {
            assert.equal(sum(back[i] as Buffer), sum(body), `seed ${seed}, ${size} bytes, number ${i}`);
          });
        }
      },
      secure ? { secrets: await tlsSecrets() } : {},
    );
  });
}

test('a body that is sent again is the same, while others overwrite the buffers it came through', async (t) => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`SEED=${seed}`);
  const next = random(seed);
  const backend = await httpBackend((request, response, index) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      response.statusCode = index < AT_ONCE ? 503 : 200;
      response.end(index < AT_ONCE ? '' : Buffer.concat(parts));
    });
  });
  const rule = 'retry: { attempts: 3, codes: [503], backoff: 1ms }';
  await withProxy(oneService([backend.port], { rule }), async (proxy) => {
    const bodies = Array.from({ length: AT_ONCE }, () => bytes(60_000, next));
    const back = await Promise.all(bodies.map((body, i) => exchanged(proxy, false, body, i % 2 === 0, next)));
    bodies.forEach((body, i) => {
      assert.equal(sum(back[i] as Buffer), sum(body), `seed ${seed}, number ${i}`);
    });
    assert.equal(backend.requests.length, 2 * AT_ONCE);
  });
});
