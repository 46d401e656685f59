/** What each admin endpoint answers, over real HTTP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { withAdmin } from './kit.ts';

test('/ready answers 200 when ready, and 503 with every reason when not', async (t) => {
  const reasons = ['worker 1 does not listen on web', 'draining'];
  const up = await withAdmin(t);
  const down = await withAdmin(t, { readiness: () => ({ ready: false, state: 'degraded', reasons }) });
  const ready = await up.get('/ready');
  assert.deepEqual([ready.status, ready.body], [200, 'ready\n']);
  const plain = await down.get('/ready');
  assert.deepEqual([plain.status, plain.body], [503, `degraded\n${reasons.join('\n')}\n`]);
  const json = await down.get('/ready?format=json');
  assert.equal(json.status, 503);
  assert.deepEqual(JSON.parse(json.body), { ready: false, state: 'degraded', reasons });
});

test('/live answers 200 whether ready or not', async (t) => {
  const admin = await withAdmin(t, {
    readiness: () => ({ ready: false, state: 'draining', reasons: ['draining'] }),
  });
  assert.equal((await admin.get('/live')).status, 200);
});

test('/metrics passes text and content type through', async (t) => {
  const admin = await withAdmin(t);
  const reply = await admin.get('/metrics');
  assert.equal(reply.body, 'up 1\n');
  assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
});

test('/config is YAML by default and JSON on request, with the state of its source', async (t) => {
  const admin = await withAdmin(t);
  const yaml = await admin.get('/config');
  const json = await admin.get('/config?format=json');
  assert.equal(yaml.headers['content-type'], 'application/yaml; charset=utf-8');
  assert.deepEqual(parse(yaml.body), JSON.parse(json.body));
  assert.equal(JSON.parse(json.body).source.version, 3);
});

test('/clusters shows breakers and endpoints, in Envoy’s text form too', async (t) => {
  const admin = await withAdmin(t);
  const [cluster] = JSON.parse((await admin.get('/clusters')).body);
  assert.equal(cluster.circuitBreaker.requests.highWaterMark, 7);
  const lines = (await admin.get('/clusters?format=text')).body.split('\n');
  for (const line of [
    'cart::default_priority::max_connections::10',
    'cart::default_priority::max_retries::unlimited',
    'cart::default_priority::requests_opened::2',
    'cart::default_priority::pending_requests_overflow::3',
    'cart::retry_budget::exhausted::4',
    'cart::127.0.0.1:9001::rq_active::5',
    'cart::127.0.0.1:9001::health_flags::/failed_active_hc/degraded_active_hc/failed_outlier_check',
    'cart::outlier::success_rate_average::90',
    'cart::outlier::success_rate_ejection_threshold::52',
    'cart::outlier::local_origin_success_rate_average::-1',
    'cart::127.0.0.1:9001::success_rate::50',
    'cart::127.0.0.1:9001::local_origin_success_rate::-1',
    'cart::127.0.0.1:9001::last_detection::SUCCESS_RATE 50 of 52',
    'cart::127.0.0.1:9001::ejected_until::2026-01-01T00:00:30.000Z',
  ]) {
    assert.ok(lines.includes(line), `${line} is missing`);
  }
  assert.equal((await admin.get('/clusters?service=cart')).status, 200);
  assert.equal((await admin.get('/clusters?service=nope')).status, 404);
});

test('/traces gives JSON or trees, and 404 for a trace that is not kept', async (t) => {
  const admin = await withAdmin(t);
  assert.deepEqual(JSON.parse((await admin.get('/traces')).body), [{ traceId: 'abc' }]);
  assert.equal((await admin.get('/traces?id=ABC&format=text')).body, 'abc\n  web\n');
  const missing = await admin.get('/traces?id=def');
  assert.equal(missing.status, 404);
  assert.equal(JSON.parse(missing.body).error.code, 'no-such-trace');
});

test('/decisions looks a request up and bounds the list', async (t) => {
  const admin = await withAdmin(t);
  assert.deepEqual(JSON.parse((await admin.get('/decisions?request=r-1')).body), [
    { requestId: 'r-1', limit: 50 },
  ]);
  assert.equal((await admin.get('/decisions?limit=0')).status, 400);
  assert.equal((await admin.get('/decisions?limit=5001')).status, 400);
});

test('/workers lists them; a restart names one that exists', async (t) => {
  const admin = await withAdmin(t);
  assert.equal(JSON.parse((await admin.get('/workers')).body).length, 2);
  const reply = await admin.send('/workers/1/restart', { method: 'POST' });
  assert.equal(reply.status, 200);
  assert.equal(JSON.parse(reply.body).index, 1);
  for (const path of ['/workers/2/restart', '/workers/-1/restart', '/workers/x/restart']) {
    assert.equal((await admin.send(path, { method: 'POST' })).status, 404, path);
  }
  assert.equal((await admin.send('/workers/0/restart?drain=false', { method: 'POST' })).status, 202);
  assert.equal((await admin.send('/workers/0/restart?drain=no', { method: 'POST' })).status, 400);
  assert.deepEqual(admin.calls, ['restart 1', 'kill 0']);
});

test('/drain drains and answers with the state', async (t) => {
  const admin = await withAdmin(t);
  assert.equal((await admin.send('/drain', { method: 'POST' })).status, 202);
  assert.deepEqual(admin.calls, ['drain']);
});

test('/log-level is read, and set by query, by JSON and by a bare word', async (t) => {
  const admin = await withAdmin(t);
  const set = (path: string, body?: string) =>
    admin.send(path, { method: 'POST', ...(body ? { body } : {}) });
  assert.equal((await set('/log-level?level=debug')).status, 200);
  assert.equal((await set('/log-level', '{"level":"warn"}')).status, 200);
  assert.equal((await set('/log-level', 'error\n')).status, 200);
  assert.deepEqual(admin.calls, ['level debug', 'level warn', 'level error']);
  assert.deepEqual(JSON.parse((await admin.get('/log-level')).body), { level: 'error' });
  for (const [path, body] of [
    ['/log-level?level=loud', undefined],
    ['/log-level', '{"level":'],
    ['/log-level', '{"level":5}'],
    ['/log-level', undefined],
  ] as const) {
    assert.equal((await set(path, body)).status, 400, `${path} ${body}`);
  }
});

test('/cpu-profile asks one worker, or the supervisor, for bounded seconds', async (t) => {
  const admin = await withAdmin(t);
  const post = (path: string) => admin.send(path, { method: 'POST' });
  const reply = await post('/cpu-profile?worker=1&seconds=2');
  assert.equal(reply.body, '{"nodes":[]}');
  assert.match(reply.headers['content-disposition'] as string, /worker-1\.cpuprofile/);
  await post('/cpu-profile?worker=supervisor');
  assert.deepEqual(admin.calls, ['profile 1 2000', 'profile supervisor 5000']);
  assert.equal((await post('/cpu-profile')).status, 400);
  assert.equal((await post('/cpu-profile?worker=9')).status, 404);
  assert.equal((await post('/cpu-profile?worker=0&seconds=61')).status, 400);
});

test('/rate-limits shows what is left of each limit, or of one', async (t) => {
  const admin = await withAdmin(t);
  const ids = async (path: string): Promise<string[]> =>
    (JSON.parse((await admin.get(path)).body) as { id: string }[]).map(({ id }) => id);
  assert.deepEqual(await ids('/rate-limits'), ['routes/cart/0/all', 'services/cart/per-user']);
  assert.deepEqual(await ids('/rate-limits?limit=services/cart/per-user'), ['services/cart/per-user']);
});

test('/callers shows what callers hold, all of them or one', async (t) => {
  const admin = await withAdmin(t);
  const addresses = async (query: string): Promise<string[]> =>
    JSON.parse((await admin.get(`/callers${query}`)).body).map(({ address }: { address: string }) => address);
  assert.deepEqual(await addresses(''), ['10.1.2.3', '10.1.2.4']);
  assert.deepEqual(await addresses('?limit=1'), ['10.1.2.3']);
  assert.deepEqual(await addresses('?address=10.1.2.4'), ['10.1.2.4']);
  assert.deepEqual(await addresses('?address=10.9.9.9'), []);
  assert.equal((await admin.get('/callers?limit=0')).status, 400);
});

test('/ lists every endpoint', async (t) => {
  const admin = await withAdmin(t);
  const { body } = await admin.get('/');
  for (const path of [
    '/ready',
    '/live',
    '/metrics',
    '/config',
    '/clusters',
    '/rate-limits',
    '/callers',
    '/traces',
    '/decisions',
    '/drain',
  ]) {
    assert.ok(body.includes(` ${path} `), `${path} is missing`);
  }
});
