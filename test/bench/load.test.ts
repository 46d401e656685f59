/** What the load generators are asked, and how what they print is read. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { REQUEST_HEADERS } from '../../bench/load/headers.ts';
import { ohaCommand, parseOha } from '../../bench/load/oha.ts';
import { parseWrk, wrkCommand } from '../../bench/load/wrk.ts';

test('wrk: requests, errors and latencies', () => {
  const stdout = [
    'Running 1s test @ http://127.0.0.1:1',
    'Requests/sec:  2000.00',
    'RESULT {"requests":3000,"durationUs":1500000,"bytes":900000,"socketErrors":2,"statusErrors":3,"p50":1500,"p99":9000}',
    '',
  ].join('\n');
  assert.deepEqual(parseWrk(stdout), {
    requests: 3000,
    seconds: 1.5,
    bytes: 900_000,
    errors: 5,
    latencyMs: { p50: 1.5, p99: 9 },
  });
  assert.throws(() => parseWrk('unable to connect'), /no result/);
});

test('wrk: the path goes to the script, the origin to wrk', () => {
  const command = wrkCommand('/usr/bin/wrk', {
    url: 'https://127.0.0.1:8443/64',
    seconds: 2,
    connections: 64,
    services: 100,
    method: 'POST',
    bodyBytes: 10,
  });
  assert.deepEqual(command.slice(-6), ['https://127.0.0.1:8443', '--', 'POST', '/64', '100', '10']);
  assert.ok(command.includes('-c64') && command.includes('-d2s'));
});

test('oha: late answers count, errors are what is not 2xx', () => {
  const latencyPercentiles = { p50: 0.001, p90: 0.002, p99: 0.01, 'p99.9': 0.05 };
  const result = parseOha(
    JSON.stringify({
      summary: { total: 2, requestsPerSec: 51 },
      latencyPercentiles,
      statusCodeDistribution: { 200: 90, 503: 8 },
      errorDistribution: { 'connection closed': 2 },
    }),
  );
  assert.equal(result.requests, 100);
  assert.equal(result.rps, 49);
  assert.ok(Math.abs(result.errorShare - 0.1) < 1e-9);
  assert.deepEqual(result.latencyMs, { p50: 1, p90: 2, p99: 10, p999: 50 });
});

test('oha: latency correction is on, the rate is whole', () => {
  const command = ohaCommand('oha', {
    url: 'http://127.0.0.1:1/64',
    host: 'svc-0.bench.example',
    seconds: 2,
    connections: 64,
    rate: 1234.5,
  });
  assert.ok(command.includes('--latency-correction'));
  assert.equal(command[command.indexOf('-q') + 1], '1235');
});

test('every load generator sends the same nine headers, Host among them', () => {
  const lua = readFileSync(new URL('../../bench/load/wrk.lua', import.meta.url), 'utf8');
  const inLua = [...lua.matchAll(/\["([\w-]+)"\] = "([^"]*)"[ ,]/g)]
    .map(([, name, value]) => [name, value])
    .filter(([name]) => name !== 'Host');
  assert.deepEqual(inLua, REQUEST_HEADERS);
  assert.equal(REQUEST_HEADERS.length + 1, 9);
});
