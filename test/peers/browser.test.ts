/** Headless Chromium over TLS through the proxy: HTTP/2, WebSocket and gRPC-Web, as a page's author has them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createCa, issueCertificate, loadedSecrets } from '../kit/certs.ts';
import { withChromium } from '../kit/chromium.ts';
import { peer } from '../kit/peers.ts';
import { withProxy } from '../kit/proxy.ts';
import { httpBackend } from '../kit/raw.ts';
import { echoWebSockets, talkWebSocket } from '../kit/websocket.ts';
import { jsStack } from './grpc/js-stack.ts';
import { withServer } from './grpc/pairs.ts';
import { callWeb, type WebAnswer } from './grpc/web.ts';

const chromium = peer('chromium');
const SCRIPTS = 20;
const BINARY_BYTES = 200_000;

/** A page of many parts, so that a browser that could would open several connections. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>shop</title>
<body style="font: 20px sans-serif"><h1>Through the proxy</h1><ul id="said" style="columns: 2"></ul>
${Array.from({ length: SCRIPTS }, (_, n) => `<script src="/part${n}.js"></script>`).join('\n')}`;

const config = (web: number, grpc: number): string => `
listeners:
  - { name: web, address: "127.0.0.1:0", tls: { certificates: [{ certFile: /web.pem, keyFile: /web.key }] } }
routes:
  - name: all
    rules:
      - backendRefs: [{ name: web }]
      - matches: [{ path: { value: /outboard.test.Peer } }]
        backendRefs: [{ name: grpc }]
services:
  - { name: web, endpoints: [{ address: 127.0.0.1:${web} }] }
  - { name: grpc, protocol: grpc, endpoints: [{ address: 127.0.0.1:${grpc} }] }
`;

test('Chromium: a page by HTTP/2, a WebSocket, a gRPC-Web call', { skip: chromium.skip }, async (t) => {
  const ca = createCa({ commonName: 'ca' });
  const certificate = issueCertificate(ca, { commonName: 'web', dnsNames: ['web'] });
  const secrets = {
    version: 1,
    ticketKeys: [],
    ...(await loadedSecrets({ 'file:/web.pem': certificate })),
  };
  const backend = await httpBackend(({ url = '' }, response) => {
    const part = /^\/part(\d+)\.js$/.exec(url);
    response.setHeader('content-type', part ? 'text/javascript' : 'text/html');
    response.end(part ? `said.innerHTML += '<li>part ${part[1]}'` : PAGE);
  });
  echoWebSockets(backend.server);

  await withServer(jsStack, (server) =>
    withProxy(
      config(backend.port, server.port),
      async (proxy) => {
        await withChromium(chromium.path as string, certificate.certPem, async (page) => {
          const origin = `web:${proxy.port}`;
          await page.open(`https://${origin}/`);
          const protocols = await page.evaluate<string[]>(
            "performance.getEntries().map((entry) => entry.nextHopProtocol).filter((name) => name !== undefined && name !== '')",
          );
          assert.ok(protocols.length > SCRIPTS, `${protocols.length} transfers`);
          assert.deepEqual(new Set(protocols), new Set(['h2']));
          const opened = (): number => proxy.listenerCounter('web', 'downstreamCxTotal');
          const connections = opened();
          t.diagnostic(`${protocols.length} transfers over ${connections} connections`);

          const url = `wss://${origin}/echo`;
          const talk = await page.evaluate(`(${talkWebSocket})(${JSON.stringify(url)}, ${BINARY_BYTES})`);
          assert.deepEqual(talk, {
            texts: ['hello', '„ü🙂“'],
            binary: BINARY_BYTES,
            same: true,
            code: 4001,
            clean: true,
            protocol: 'echo',
          });
          await page.evaluate("said.innerHTML += '<li>WebSocket'");
          // Extended CONNECT (RFC 8441): a WebSocket by HTTP/1.1 would have needed a connection of its own.
          assert.equal(opened(), connections);

          for (const text of [false, true]) {
            const args = JSON.stringify([
              `https://${origin}/outboard.test.Peer/Unary`,
              [1, 2, 3],
              text,
              { 'x-ping': 'p' },
            ]);
            const answer = await page.evaluate<WebAnswer>(`(${callWeb})(...${args})`);
            assert.deepEqual(answer.messages, [[1, 2, 3]]);
            assert.equal(answer.trailers['grpc-status'], '0');
            assert.equal(answer.trailers['x-tail'], 'p');
            await page.evaluate(`said.innerHTML += '<li>gRPC-Web ${text ? 'text' : 'binary'}'`);
          }
          const picture = await page.screenshot();
          assert.ok(picture.length > 1_000);
          if (process.env.OUTBOARD_SCREENSHOT) writeFileSync(process.env.OUTBOARD_SCREENSHOT, picture);
        });
      },
      { secrets },
    ),
  );
  await backend.close();
});
