/**
 * A strict reader of Prometheus' text format (version 0.0.4), as `promtool check metrics` would have it: one HELP
 * and TYPE per metric and before its samples, a metric's samples together, no series twice, buckets that add up.
 */
import assert from 'node:assert/strict';

export interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  /** Value by `name{label="value",…}` with labels in alphabetical order. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/y;

export function readExposition(text: string): Exposition {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  const finished = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('# HELP ')) {
      const [name = '', ...help] = line.slice(7).split(' ');
      assert.match(name, NAME);
      assert.notEqual(help.join(' ').trim(), '', `${name} has a help text`);
      assert.ok(!finished.has(name), `${name} comes in one group`);
      current = name;
      finished.add(name);
      continue;
    }
    if (line.startsWith('# TYPE ')) {
      const [name = '', type = ''] = line.slice(7).split(' ');
      assert.equal(name, current);
      assert.ok(['counter', 'gauge', 'histogram', 'summary'].includes(type), line);
      types.set(name, type);
      continue;
    }
    const match = SAMPLE.exec(line);
    assert.ok(match, `a sample: ${line}`);
    const [, name = '', labels = '', value = ''] = match;
    const type = types.get(current);
    const own = type === 'histogram' || type === 'summary' ? name.replace(/_(bucket|sum|count)$/, '') : name;
    assert.equal(own, current, `${name} stands under its own metric`);
    const key = `${name}{${labelsOf(labels, line).join(',')}}`;
    assert.ok(!samples.has(key), `${key} comes once`);
    const number = Number(value.replace('+Inf', 'Infinity'));
    // prom-client writes Nan for a summary of nothing; Prometheus reads it in any case.
    assert.ok(!Number.isNaN(number) || /^nan$/i.test(value), line);
    if (type === 'counter') assert.ok(number >= 0, line);
    samples.set(key, number);
  }
  for (const [name, type] of types) if (type === 'histogram') checkHistogram(name, samples);
  return { types, samples };
}

function labelsOf(text: string, line: string): string[] {
  const labels: string[] = [];
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const match = LABEL.exec(text);
    assert.ok(match, `labels at ${at} of ${line}`);
    labels.push(`${match[1]}="${match[2]}"`);
  }
  assert.equal(new Set(labels.map((label) => label.split('=')[0])).size, labels.length, line);
  return labels.sort();
}

function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const last = new Map<string, { le: number; count: number }>();
  for (const [key, count] of samples) {
    if (!key.startsWith(`${name}_bucket{`)) continue;
    const le = Number((/le="([^"]*)"/.exec(key)?.[1] ?? '').replace('+Inf', 'Infinity'));
    const series = key
      .slice(name.length + 7)
      .replace(/,?le="[^"]*"/, '')
      .replace('{,', '{');
    const before = last.get(series);
    if (before)
      assert.ok(before.le < le && before.count <= count, `${key} is not below the bucket before it`);
    last.set(series, { le, count });
  }
  for (const [series, { le, count }] of last) {
    assert.equal(le, Number.POSITIVE_INFINITY, `${name}${series} ends with +Inf`);
    assert.equal(samples.get(`${name}_count${series}`), count);
    assert.ok(samples.has(`${name}_sum${series}`));
  }
}
