/** Propagation: what is read of each format, what is ignored, what the next hop is told, and who is sampled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderList } from '../../src/message/index.ts';
import {
  RandomIds,
  readTrace,
  type TraceContext,
  type TraceSettings,
  traceSettings,
  writeTrace,
} from '../../src/telemetry/index.ts';
import { countingIds, seeded } from './kit.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SHORT = 'a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const NEVER = traceSettings({ sampling: 0, propagation: ['w3c'] });
const ALWAYS = traceSettings({ sampling: 1, propagation: ['w3c'] });

interface Read {
  readonly ctx: TraceContext;
  readonly invalid: number;
}

function read(pairs: readonly string[], settings: TraceSettings = NEVER): Read {
  let invalid = 0;
  const ctx = readTrace(HeaderList.of(...pairs), settings, countingIds(), () => {
    invalid++;
  });
  return { ctx, invalid };
}

function written(pairs: readonly string[], settings: TraceSettings = NEVER): Record<string, string> {
  const headers = HeaderList.of(...pairs);
  const ctx = readTrace(headers, settings, countingIds(), () => {});
  writeTrace(headers, ctx, 'aaaaaaaaaaaaaaaa', settings);
  const out: Record<string, string> = {};
  headers.forEach((name, value) => {
    assert.ok(!(name in out), `${name} is written once`);
    out[name] = value;
  });
  return out;
}

const tracestateOf = (value: string): string =>
  read(['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate', value]).ctx.traceState;

/** Headers, then the trace id, parent and decision they mean. */
const VALID: readonly (readonly [
  name: string,
  pairs: readonly string[],
  trace: string,
  parent: string,
  sampled: boolean,
])[] = [
  ['W3C sampled', ['traceparent', `00-${TRACE}-${SPAN}-01`], TRACE, SPAN, true],
  ['W3C not sampled', ['traceparent', `00-${TRACE}-${SPAN}-00`], TRACE, SPAN, false],
  ['W3C, other flags set', ['traceparent', `00-${TRACE}-${SPAN}-fe`], TRACE, SPAN, false],
  ['W3C, a later version', ['traceparent', `cc-${TRACE}-${SPAN}-01`], TRACE, SPAN, true],
  ['W3C, a later version with more', ['traceparent', `01-${TRACE}-${SPAN}-01-what-comes`], TRACE, SPAN, true],
  ['B3 single', ['b3', `${TRACE}-${SPAN}-1`], TRACE, SPAN, true],
  ['B3 single, denied', ['b3', `${TRACE}-${SPAN}-0`], TRACE, SPAN, false],
  ['B3 single, undecided', ['b3', `${TRACE}-${SPAN}`], TRACE, SPAN, false],
  ['B3 single, debug', ['b3', `${TRACE}-${SPAN}-d`], TRACE, SPAN, true],
  ['B3 single with parent', ['b3', `${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90`], TRACE, SPAN, true],
  ['B3 single, 64 bits', ['b3', `${SHORT}-${SPAN}-1`], SHORT.padStart(32, '0'), SPAN, true],
  ['B3 single, upper case', ['b3', `${TRACE.toUpperCase()}-${SPAN}-1`], TRACE, SPAN, true],
  ['B3 multi', ['X-B3-TraceId', TRACE, 'X-B3-SpanId', SPAN, 'X-B3-Sampled', '1'], TRACE, SPAN, true],
  [
    'B3 multi, 64 bits',
    ['x-b3-traceid', SHORT, 'x-b3-spanid', SPAN, 'x-b3-sampled', '1'],
    SHORT.padStart(32, '0'),
    SPAN,
    true,
  ],
  ['B3 multi, true', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', 'true'], TRACE, SPAN, true],
  [
    'B3 multi, false',
    ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', 'false'],
    TRACE,
    SPAN,
    false,
  ],
  ['B3 multi, debug', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-flags', '1'], TRACE, SPAN, true],
  ['B3 multi, undecided', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN], TRACE, SPAN, false],
  ['Jaeger', ['uber-trace-id', `${TRACE}:${SPAN}:0:1`], TRACE, SPAN, true],
  ['Jaeger, not sampled', ['uber-trace-id', `${TRACE}:${SPAN}:0:0`], TRACE, SPAN, false],
  ['Jaeger, debug', ['uber-trace-id', `${TRACE}:${SPAN}:0:3`], TRACE, SPAN, true],
  ['Jaeger, percent-encoded', ['uber-trace-id', `${TRACE}%3A${SPAN}%3a0%3A1`], TRACE, SPAN, true],
  [
    'Jaeger, leading zeros missing',
    ['uber-trace-id', 'abc:7f:0:1'],
    'abc'.padStart(32, '0'),
    '7f'.padStart(16, '0'),
    true,
  ],
];

for (const [name, pairs, trace, parent, sampled] of VALID) {
  test(`reads ${name}`, () => {
    const { ctx, invalid } = read(pairs);
    assert.deepEqual([ctx.traceId, ctx.parentSpanId, ctx.sampled, invalid], [trace, parent, sampled, 0]);
    assert.match(ctx.spanId, /^[0-9a-f]{16}$/);
    assert.notEqual(ctx.spanId, parent);
  });
}

const INVALID: readonly (readonly [name: string, pairs: readonly string[]])[] = [
  ['W3C, version ff', ['traceparent', `ff-${TRACE}-${SPAN}-01`]],
  ['W3C, version 00 with more', ['traceparent', `00-${TRACE}-${SPAN}-01-x`]],
  ['W3C, later version with garbage behind', ['traceparent', `cc-${TRACE}-${SPAN}-01.x`]],
  ['W3C, trace id of zeros', ['traceparent', `00-${'0'.repeat(32)}-${SPAN}-01`]],
  ['W3C, span id of zeros', ['traceparent', `00-${TRACE}-${'0'.repeat(16)}-01`]],
  ['W3C, upper case', ['traceparent', `00-${TRACE.toUpperCase()}-${SPAN}-01`]],
  ['W3C, too short', ['traceparent', `00-${TRACE.slice(1)}-${SPAN}-01`]],
  ['W3C, no flags', ['traceparent', `00-${TRACE}-${SPAN}`]],
  ['W3C, flags not hexadecimal', ['traceparent', `00-${TRACE}-${SPAN}-0x`]],
  ['W3C, empty', ['traceparent', '']],
  ['W3C, twice', ['traceparent', `00-${TRACE}-${SPAN}-01`, 'traceparent', `00-${TRACE}-${SPAN}-01`]],
  ['B3 single, garbage', ['b3', 'hello']],
  ['B3 single, zeros', ['b3', `${'0'.repeat(32)}-${SPAN}-1`]],
  ['B3 single, unknown state', ['b3', `${TRACE}-${SPAN}-x`]],
  ['B3 multi, no span', ['x-b3-traceid', TRACE]],
  ['B3 multi, bad id', ['x-b3-traceid', 'xyz', 'x-b3-spanid', SPAN]],
  ['B3 multi, bad decision', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', 'maybe']],
  ['Jaeger, too few parts', ['uber-trace-id', `${TRACE}:${SPAN}:1`]],
  ['Jaeger, zero', ['uber-trace-id', `0:${SPAN}:0:1`]],
];

for (const [name, pairs] of INVALID) {
  test(`ignores and counts ${name}`, () => {
    const { ctx, invalid } = read(pairs);
    assert.equal(invalid, 1);
    assert.equal(ctx.parentSpanId, '');
    assert.notEqual(ctx.traceId, TRACE);
    assert.equal(ctx.sampled, false);
  });
}

test('W3C goes before B3 single, B3 single before B3 multi, B3 multi before Jaeger', () => {
  const w3c = ['traceparent', `00-${'1'.repeat(32)}-${SPAN}-01`];
  const b3 = ['b3', `${'2'.repeat(32)}-${SPAN}-1`];
  const multi = ['x-b3-traceid', '3'.repeat(32), 'x-b3-spanid', SPAN];
  const jaeger = ['uber-trace-id', `${'4'.repeat(32)}:${SPAN}:0:1`];
  assert.equal(read([...jaeger, ...multi, ...b3, ...w3c]).ctx.traceId, '1'.repeat(32));
  assert.equal(read([...jaeger, ...multi, ...b3]).ctx.traceId, '2'.repeat(32));
  assert.equal(read([...jaeger, ...multi]).ctx.traceId, '3'.repeat(32));
  assert.equal(read(jaeger).ctx.traceId, '4'.repeat(32));
});

test('a malformed format is passed over for a valid one of lower precedence', () => {
  const { ctx, invalid } = read(['traceparent', 'nonsense', 'tracestate', 'a=b', 'b3', `${TRACE}-${SPAN}-1`]);
  assert.deepEqual([ctx.traceId, ctx.traceState, invalid], [TRACE, '', 1]);
});

test('a decision alone in B3 begins a trace that follows it', () => {
  for (const [pairs, sampled, debug] of [
    [['b3', '0'], false, false],
    [['b3', '1'], true, false],
    [['b3', 'd'], true, true],
    [['x-b3-sampled', '0'], false, false],
    [['x-b3-sampled', '1'], true, false],
    [['x-b3-flags', '1'], true, true],
  ] as const) {
    const { ctx, invalid } = read(pairs, traceSettings({ sampling: sampled ? 0 : 1, propagation: [] }));
    assert.deepEqual(
      [ctx.parentSpanId, ctx.sampled, ctx.debug, invalid],
      ['', sampled, debug, 0],
      pairs.join(' '),
    );
  }
});

test('an identified trace is preferred to a decision alone', () => {
  assert.equal(read(['b3', '0', 'uber-trace-id', `${TRACE}:${SPAN}:0:1`]).ctx.traceId, TRACE);
});

test('the parent decides whatever the ratio', () => {
  assert.equal(read(['traceparent', `00-${TRACE}-${SPAN}-00`], ALWAYS).ctx.sampled, false);
  assert.equal(read(['traceparent', `00-${TRACE}-${SPAN}-01`], NEVER).ctx.sampled, true);
});

test('an undecided parent leaves it to the ratio', () => {
  assert.equal(read(['b3', `${TRACE}-${SPAN}`], ALWAYS).ctx.sampled, true);
  assert.equal(read(['b3', `${TRACE}-${SPAN}`], NEVER).ctx.sampled, false);
});

test('headers force sampling even against the parent', () => {
  for (const header of ['x-envoy-force-trace', 'jaeger-debug-id']) {
    assert.equal(read([header, 'yes']).ctx.sampled, true);
    assert.equal(read(['traceparent', `00-${TRACE}-${SPAN}-00`, header, 'yes']).ctx.sampled, true);
  }
});

test('hops with one ratio decide alike, and a higher ratio contains a lower one', () => {
  const random = seeded(7);
  const ids = new RandomIds((bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256);
  });
  const tenth = traceSettings({ sampling: 0.1, propagation: [] });
  const half = traceSettings({ sampling: 0.5, propagation: [] });
  let low = 0;
  let high = 0;
  for (let i = 0; i < 20_000; i++) {
    const headers = HeaderList.of('b3', `${ids.traceId()}-${SPAN}`);
    const sampledAt = (settings: TraceSettings): boolean =>
      readTrace(headers, settings, ids, () => {}).sampled;
    const first = sampledAt(tenth);
    assert.equal(sampledAt(tenth), first);
    const second = sampledAt(half);
    assert.ok(second || !first, 'sampled at 10 % means sampled at 50 %');
    if (first) low++;
    if (second) high++;
  }
  assert.ok(Math.abs(low / 20_000 - 0.1) < 0.01, `${low} of 20,000 at 10 % (seed 7)`);
  assert.ok(Math.abs(high / 20_000 - 0.5) < 0.015, `${high} of 20,000 at 50 % (seed 7)`);
});

test('a new trace is told in the configured formats', () => {
  const settings = traceSettings({ sampling: 1, propagation: ['w3c', 'b3', 'b3multi', 'jaeger'] });
  const out = written([], settings);
  const trace = (out.traceparent as string).split('-')[1] as string;
  const short = trace.startsWith('0'.repeat(16)) ? trace.slice(16) : trace;
  assert.deepEqual(out, {
    traceparent: `00-${trace}-aaaaaaaaaaaaaaaa-01`,
    b3: `${short}-aaaaaaaaaaaaaaaa-1`,
    'x-b3-traceid': short,
    'x-b3-spanid': 'aaaaaaaaaaaaaaaa',
    'x-b3-sampled': '1',
    'uber-trace-id': `${short}:aaaaaaaaaaaaaaaa:0:1`,
  });
});

test('formats that came in are written too, each once, the old ones replaced', () => {
  assert.deepEqual(
    written([
      'X-B3-TraceId',
      TRACE,
      'X-B3-SpanId',
      SPAN,
      'x-b3-parentspanid',
      SPAN,
      'X-B3-Sampled',
      '1',
      'accept',
      '*/*',
    ]),
    {
      accept: '*/*',
      traceparent: `00-${TRACE}-aaaaaaaaaaaaaaaa-01`,
      'x-b3-traceid': TRACE,
      'x-b3-spanid': 'aaaaaaaaaaaaaaaa',
      'x-b3-sampled': '1',
    },
  );
  assert.deepEqual(written(['uber-trace-id', `${TRACE}:${SPAN}:0:1`]), {
    traceparent: `00-${TRACE}-aaaaaaaaaaaaaaaa-01`,
    'uber-trace-id': `${TRACE}:aaaaaaaaaaaaaaaa:0:1`,
  });
});

test('debug is passed on where the format can say so', () => {
  assert.equal(written(['b3', `${TRACE}-${SPAN}-d`]).b3, `${TRACE}-aaaaaaaaaaaaaaaa-d`);
  const multi = written(['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-flags', '1']);
  assert.equal(multi['x-b3-flags'], '1');
  assert.equal(multi['x-b3-sampled'], undefined);
  assert.equal(
    written(['uber-trace-id', `${TRACE}:${SPAN}:0:3`])['uber-trace-id'],
    `${TRACE}:aaaaaaaaaaaaaaaa:0:3`,
  );
});

test('a 64-bit trace id goes on in 64 bits, and padded in traceparent', () => {
  const out = written(['b3', `${SHORT}-${SPAN}-1`]);
  assert.equal(out.b3, `${SHORT}-aaaaaaaaaaaaaaaa-1`);
  assert.equal(out.traceparent, `00-${SHORT.padStart(32, '0')}-aaaaaaaaaaaaaaaa-01`);
});

test('what is not sampled is passed on with the decision and the caller as parent', () => {
  assert.equal(written(['traceparent', `00-${TRACE}-${SPAN}-00`]).traceparent, `00-${TRACE}-${SPAN}-00`);
  assert.match(written([]).traceparent as string, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test('an unsampled W3C context that is in order is left where it stands', () => {
  const lines = (...pairs: string[]): string => {
    const headers = HeaderList.of(...pairs);
    const ctx = readTrace(headers, NEVER, countingIds(), () => {});
    writeTrace(headers, ctx, '', NEVER);
    return headers.toText();
  };
  const parent = `00-${TRACE}-${SPAN}-00`;
  const first = ['Traceparent', parent, 'tracestate', 'a=1,b=2', 'accept', '*/*'];
  assert.equal(lines(...first), `Traceparent: ${parent}\r\ntracestate: a=1,b=2\r\naccept: */*\r\n`);
  assert.equal(lines('traceparent', parent, 'tracestate', 'BAD'), `traceparent: ${parent}\r\n`);
  assert.equal(lines('traceparent', parent, 'tracestate', ''), `traceparent: ${parent}\r\n`);
  assert.equal(
    lines('traceparent', parent, 'tracestate', 'a=1', 'tracestate', 'b=2'),
    `traceparent: ${parent}\r\ntracestate: a=1,b=2\r\n`,
  );
  assert.equal(lines('traceparent', `00-${TRACE}-${SPAN}-02`), `traceparent: ${parent}\r\n`);
  assert.equal(lines('traceparent', `01-${TRACE}-${SPAN}-00-x`), `traceparent: ${parent}\r\n`);
  assert.equal(lines('tracestate', 'a=1').includes('tracestate'), false);
});

test('a malformed context is not passed on', () => {
  const out = written(['b3', 'garbage', 'tracestate', 'a=b']);
  assert.match(out.traceparent as string, /^00-/);
  assert.match(out.b3 as string, /^[0-9a-f]{16,32}-/);
  assert.equal(out.tracestate, undefined);
});

test('tracestate is passed on in order, fields joined, empty members left out', () => {
  const headers = HeaderList.of(
    ...['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate', 'a=1 , b=2', 'tracestate', ',c@d=3\t'],
  );
  const ctx = readTrace(headers, NEVER, countingIds(), () => {});
  assert.equal(ctx.traceState, 'a=1,b=2,c@d=3');
  writeTrace(headers, ctx, 'aaaaaaaaaaaaaaaa', NEVER);
  assert.equal(headers.count('tracestate'), 1);
  assert.equal(headers.get('tracestate'), 'a=1,b=2,c@d=3');
});

test('a malformed tracestate, or one of more than 32 members, is dropped and the trace goes on', () => {
  const many = (count: number): string => Array.from({ length: count }, (_, i) => `k${i}=v`).join(',');
  assert.equal(tracestateOf(many(32)), many(32));
  for (const bad of [
    'A=1',
    'a',
    'a=',
    'a=b=c',
    '=b',
    'a=\x01',
    'a=\u00e4',
    `${'k'.repeat(257)}=v`,
    `a=${'v'.repeat(257)}`,
    many(33),
  ]) {
    assert.equal(tracestateOf(bad), '', bad);
  }
});

test('a long tracestate loses its long members first, then its last ones', () => {
  const long = `long=${'x'.repeat(200)}`;
  const short = Array.from({ length: 20 }, (_, i) => `key${i}=${'v'.repeat(20)}`);
  assert.equal(tracestateOf([long, ...short.slice(0, 15)].join(',')), short.slice(0, 15).join(','));
  const kept = tracestateOf(short.join(','));
  assert.ok(kept.length <= 512 && kept.startsWith(short.slice(0, 15).join(',')), kept);
});

test('tracestate of blanks is read in linear time', () => {
  assert.equal(tracestateOf(`${' '.repeat(60_000)}\u00e9`), '');
  assert.equal(tracestateOf(`${' '.repeat(60_000)}A`), '');
});
