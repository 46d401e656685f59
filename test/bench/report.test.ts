/** The JSON line, the table and the plots of a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spread } from '../../bench/harness/stats.ts';
import { caseResult, ratioOf, type Trial } from '../../bench/harness/trials.ts';
import { jsonLine } from '../../bench/report/json.ts';
import { lineChart, ratioChart, renderSvg } from '../../bench/report/plots.ts';
import { markdown } from '../../bench/report/table.ts';
import { verdict } from '../../bench/report/verdict.ts';
import { type ScenarioResult, standardNotes } from '../../bench/scenarios/scenario.ts';

function trial(changes: Partial<Trial>): Trial {
  return {
    cpu: 1,
    proxyBusy: 0.98,
    foreign: 0.01,
    loadIdle: 0.4,
    requests: 20_000,
    errors: 0,
    rps: 20_000,
    bytesPerSecond: 6e6,
    cpuMicros: 50,
    latencyMs: { p50: 1, p99: 4 },
    ...changes,
  };
}

const plain = caseResult('plain-64', {
  outboard: [trial({ rps: 30_000 }), trial({ rps: 32_000 })],
  envoy: [trial({}), trial({ loadIdle: 0.1, errors: 3 })],
});
const result: ScenarioResult = {
  scenario: 'one-hop',
  cases: [plain],
  readings: [{ name: 'memory', unit: 'MiB', values: { outboard: [90], envoy: [30] } }],
  curves: [
    {
      plot: 'latency',
      x: 'requests per second',
      y: 'ms',
      logarithmic: true,
      lines: {
        'outboard p99': [
          [100, 1],
          [1_000, 2],
        ],
        'envoy p99': [
          [100, 2],
          [1_000, 5],
        ],
      },
    },
  ],
  ratios: { plain_rps: ratioOf(plain, ({ rps }) => rps), plain_p99: spread([]) },
  notes: standardNotes([plain]),
};

test('the JSON line holds medians of paired ratios, null for what was not measured', () => {
  assert.equal(jsonLine(result), '{"scenario":"one-hop","ratio":{"plain_rps":1.55,"plain_p99":null}}');
});

test('a case is load-bound as soon as one round was', () => {
  assert.equal(plain.loadBound, true);
  assert.equal(caseResult('x', { outboard: [trial({ loadIdle: 0.16 })] }).loadBound, false);
});

test('load-bound cases and errors are told', () => {
  assert.equal(result.notes.length, 2);
  assert.match(result.notes[0] ?? '', /load-bound/);
  assert.match(result.notes[1] ?? '', /envoy had 3 errors/);
});

test('the table tells machine, ratios with spread, and who is better', () => {
  const table = markdown(
    {
      date: '2026-01-31T10:00:00.000Z',
      quick: false,
      machine: {
        cpu: 'A processor',
        cores: 2,
        memoryGib: 16,
        kernel: 'Linux 6',
        pinning: { proxy: 1, backend: 0, load: 0 },
        versions: { envoy: '1.40.0' },
      },
      scenarios: [result],
    },
    '2026-01-31',
  );
  assert.match(table, /A processor, 2 cores/);
  assert.match(table, /\| plain_rps \| \*\*1\.55\*\* \| 1\.5 – 1\.6 \| 2 \| better \|/);
  assert.match(table, /\| plain-64 \(load-bound\) \| outboard \| 31,000 \|/);
  assert.match(table, /!\[latency\]\(2026-01-31-latency\.svg\)/);
  assert.doesNotMatch(table, /plain_p99/, 'what was not measured is left out');
});

test('more requests and messages are better, more CPU is worse', () => {
  const more = spread([1.1, 1.2]);
  for (const name of ['h2_h2_rps', 'grpc_unary_rps', 'grpc_stream_msgs'])
    assert.equal(verdict(name, more), 'better', name);
  for (const name of ['h2_h2_cpu', 'grpc_stream_cpu']) assert.equal(verdict(name, more), 'worse', name);
  assert.equal(verdict('h2_h2_rps', spread([0.9, 1.2])), 'even');
});

test('plots are SVG and name their lines', () => {
  const [curve] = result.curves;
  assert.ok(curve);
  const svg = renderSvg(lineChart(curve));
  assert.match(svg, /^<svg /);
  assert.match(svg, /outboard p99/);
  assert.match(renderSvg(ratioChart(result)), /plain_rps/);
});
