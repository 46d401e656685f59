/** 200 reloads and 20 certificate rotations under load: nobody notices but by what was changed. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { createCa, issueCertificate } from '../kit/certs.ts';
import { type RunningNode, withNode } from '../kit/node.ts';
import { freePort } from '../kit/proxy.ts';
import { httpBackend, RawClient } from '../kit/raw.ts';

const RELOADS = Number(process.env.OUTBOARD_RELOADS ?? 40);
const ROTATIONS = 20;
const CLIENTS = 8;

const ca = createCa({ commonName: 'test' });

function replaceFile(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** Every second configuration has the extra listener, service and endpoint. */
function config(round: number, ports: { web: number; extra: number; first: number; second: number }): string {
  const more = round % 2 === 1;
  const second = more ? `, { address: 127.0.0.1:${ports.second} }` : '';
  return `
listeners:
  - name: web
    address: 127.0.0.1:${ports.web}
    tls: { certificates: [{ certFile: web.pem, keyFile: web.key }] }
${more ? `  - { name: extra, address: 127.0.0.1:${ports.extra} }` : ''}
routes:
  - name: all
    rules:
      - filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-round, value: "${round}" }] } }]
        backendRefs: [{ name: a }]
${more ? `  - { name: extra, hostnames: [extra.test], rules: [{ backendRefs: [{ name: b }] }] }` : ''}
services:
  - { name: a, endpoints: [{ address: 127.0.0.1:${ports.first} }${second}] }
${more ? `  - { name: b, endpoints: [{ address: 127.0.0.1:${ports.second} }] }` : ''}
workers: 2
`;
}

interface Seen {
  readonly status: number;
  readonly round: number;
}

function get(port: number, agent: Agent): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, agent, servername: 'web.test', ca: ca.certPem },
      (response) => {
        response.resume();
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, round: Number(response.headers['x-round']) }),
        );
      },
    );
    request.on('error', reject);
    request.end();
  });
}

/** Serial of the certificate that a new connection is shown. */
function shownSerial(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: '127.0.0.1', port, servername: 'web.test', ca: ca.certPem },
      () => {
        const { serialNumber } = socket.getPeerCertificate();
        socket.destroy();
        resolve(serialNumber);
      },
    );
    socket.on('error', reject);
  });
}

async function eventually(what: string, node: RunningNode, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `${what} in 10 s\n${node.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test(`${RELOADS} reloads and ${ROTATIONS} certificate rotations under load fail no request`, async (t) => {
  const first = await httpBackend((_request, response) => response.end('first'));
  const second = await httpBackend((_request, response) => response.end('second'));
  const ports = {
    web: await freePort(),
    extra: await freePort(),
    first: first.port,
    second: second.port,
  };
  let leaf = issueCertificate(ca, { commonName: 'web.test', dnsNames: ['web.test'] });
  const files = { 'web.pem': leaf.certPem, 'web.key': leaf.keyPem };
  await withNode(
    config(0, ports),
    async (node) => {
      const admin = `\nadmin: { address: ${new URL(node.adminUrl).host} }\n`;
      let stop = false;
      let requests = 0;
      const failures: string[] = [];
      const load = Array.from({ length: CLIENTS }, async (_, index) => {
        const kept = new Agent({ keepAlive: true, maxSockets: 1 });
        while (!stop) {
          // Half of the clients make a new connection for each request.
          const agent = index % 2 === 0 ? kept : new Agent({ keepAlive: false });
          requests++;
          await get(ports.web, agent).then(
            (seen) => {
              if (seen.status !== 200) failures.push(`status ${seen.status}`);
            },
            (error: Error) => failures.push(error.message),
          );
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        kept.destroy();
      });
      const probe = new Agent({ keepAlive: true, maxSockets: 1 });
      let rotations = 0;
      try {
        for (let round = 1; round <= RELOADS; round++) {
          replaceFile(node.configFile, config(round, ports) + admin);
          await eventually(
            `reload ${round} in force`,
            node,
            async () => (await get(ports.web, probe)).round === round,
          );
          if (round % 2 === 1) {
            const client = await RawClient.connect(ports.extra);
            client.send('GET / HTTP/1.1\r\nHost: extra.test\r\n\r\n');
            await client.until((text) => text.endsWith('second'));
            client.destroy();
          }
          if (round % Math.floor(RELOADS / ROTATIONS) === 0 && rotations < ROTATIONS) {
            rotations++;
            leaf = issueCertificate(ca, { commonName: 'web.test', dnsNames: ['web.test'] });
            replaceFile(join(node.directory, 'web.key'), leaf.keyPem);
            replaceFile(join(node.directory, 'web.pem'), leaf.certPem);
            const serial = leaf.serial;
            await eventually(
              `certificate ${rotations} shown`,
              node,
              async () => (await shownSerial(ports.web)) === serial,
            );
          }
        }
      } finally {
        stop = true;
        await Promise.all(load);
        probe.destroy();
      }
      t.diagnostic(
        `${requests} requests during ${RELOADS} reloads and ${rotations} rotations, ${failures.length} failed`,
      );
      assert.deepEqual(failures, []);
      assert.equal(rotations, Math.min(ROTATIONS, RELOADS));
    },
    files,
  );
  await Promise.all([first.close(), second.close()]);
});
