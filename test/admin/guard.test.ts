/** What the admin server refuses: other methods, foreign hosts, browsers on behalf of other sites, large bodies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAdmin } from '../../src/admin/index.ts';
import { LIMITS } from '../../src/base/index.ts';
import { withAdmin } from './kit.ts';

test('a method that an endpoint does not take gets 405 and Allow', async (t) => {
  const admin = await withAdmin(t);
  for (const [method, path, allow] of [
    ['POST', '/ready', 'GET, HEAD'],
    ['GET', '/drain', 'POST'],
    ['HEAD', '/drain', 'POST'],
    ['DELETE', '/log-level', 'GET, HEAD, POST'],
    ['OPTIONS', '/config', 'GET, HEAD'],
  ] as const) {
    const reply = await admin.send(path, { method });
    assert.deepEqual([reply.status, reply.headers.allow], [405, allow], `${method} ${path}`);
  }
  assert.deepEqual(admin.calls, []);
});

test('HEAD answers as GET does, without the body', async (t) => {
  const admin = await withAdmin(t);
  const get = await admin.get('/clusters');
  const head = await admin.send('/clusters', { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers['content-length'], get.headers['content-length']);
  assert.equal(head.body, '');
});

test('unknown paths and odd targets get a coded 404 or 400', async (t) => {
  const admin = await withAdmin(t);
  for (const path of ['/nope', '/ready/', '//ready', '/workers//restart', '/Ready']) {
    const reply = await admin.get(path);
    assert.deepEqual([reply.status, JSON.parse(reply.body).error.code], [404, 'not-found'], path);
  }
  assert.equal((await admin.send('*', { method: 'OPTIONS' })).status, 400);
  assert.equal((await admin.get('/config?format=xml')).status, 400);
});

test('on loopback only loopback names are served; probes pass whatever the name', async (t) => {
  const admin = await withAdmin(t);
  for (const [host, status] of [
    ['127.0.0.1:15000', 200],
    ['127.9.9.9', 200],
    ['localhost', 200],
    ['LOCALHOST:1', 200],
    ['localhost.', 200],
    ['outboard.localhost:15000', 200],
    ['[::1]:15000', 200],
    ['rebind.attacker.example', 403],
    ['localhost.attacker.example', 403],
    ['127.0.0.1.attacker.example', 403],
    ['192.0.2.7:15000', 403],
    ['outboard', 403],
  ] as const) {
    const reply = await admin.get('/config', { host });
    assert.equal(reply.status, status, host);
    if (status === 403) assert.equal(JSON.parse(reply.body).error.code, 'host-refused');
    assert.equal((await admin.get('/ready', { host })).status, 200, `/ready by ${host}`);
  }
});

test('on every address, addresses and undotted names are served too, public names are not', async (t) => {
  const admin = await withAdmin(t, {}, '0.0.0.0');
  for (const [host, status] of [
    ['10.1.2.3:15000', 200],
    ['[2001:db8::1]:15000', 200],
    ['outboard:15000', 200],
    ['localhost:15000', 200],
    ['rebind.attacker.example', 403],
  ] as const) {
    assert.equal((await admin.get('/config', { host })).status, status, host);
  }
});

test('a POST sent by a page of another site is refused', async (t) => {
  const admin = await withAdmin(t);
  const host = `127.0.0.1:${admin.port}`;
  const post = (headers: Record<string, string>) =>
    admin.send('/drain', { method: 'POST', headers: { host, ...headers } });
  for (const headers of [
    { origin: 'https://attacker.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${admin.port + 1}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[]) {
    const reply = await post(headers);
    assert.deepEqual(
      [reply.status, JSON.parse(reply.body).error.code],
      [403, 'cross-site'],
      JSON.stringify(headers),
    );
  }
  assert.deepEqual(admin.calls, []);
  assert.equal((await post({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).status, 202);
  assert.equal((await post({})).status, 202);
});

test('a body over the limit gets 413, and the answer arrives', async (t) => {
  const admin = await withAdmin(t);
  const reply = await admin.send('/log-level', {
    method: 'POST',
    body: 'x'.repeat(LIMITS.adminBodyBytes + 1),
  });
  assert.equal(reply.status, 413);
  assert.equal(reply.headers.connection, 'close');
  assert.deepEqual(admin.calls, []);
});

test('an endpoint that throws gives a coded 500 and one log line', async (t) => {
  const admin = await withAdmin(t, {
    clusters: () => {
      throw new Error('ledger went away');
    },
  });
  const reply = await admin.get('/clusters');
  assert.equal(reply.status, 500);
  assert.equal(JSON.parse(reply.body).error.code, 'internal');
  assert.equal(admin.errors.length, 1);
});

test('a taken port is named with its cure', async (t) => {
  const admin = await withAdmin(t);
  const options = { host: '127.0.0.1', port: admin.port, api: {} as never, onError: () => {} };
  await assert.rejects(startAdmin(options), (error: Error) => {
    assert.match(
      error.message,
      new RegExp(`admin: cannot listen on 127\\.0\\.0\\.1:${admin.port} \\(EADDRINUSE\\)`),
    );
    assert.match(error.message, /set admin\.address/);
    return true;
  });
});
