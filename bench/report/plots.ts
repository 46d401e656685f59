/** The curves of a run as SVG, and one bar chart per scenario of its ratios; by ECharts, which needs no browser. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EChartsOption, init } from 'echarts';
import type { Curve, ScenarioResult } from '../scenarios/scenario.ts';

const WIDTH = 860;
const HEIGHT = 480;
/** Told apart by readers who don't see red and green apart, too. */
const COLOURS = { outboard: '#0b6e99', envoy: '#d1622b' };
const DASHES: Readonly<Record<string, 'solid' | 'dashed' | 'dotted'>> = {
  p50: 'dotted',
  p90: 'dotted',
  p99: 'solid',
  p999: 'dashed',
};

/** Writes `PLOT.svg` for every curve and `SCENARIO-ratios.svg`; the names written. */
export function writePlots(directory: string, scenarios: readonly ScenarioResult[]): string[] {
  const written: string[] = [];
  const write = (name: string, option: EChartsOption): void => {
    writeFileSync(join(directory, `${name}.svg`), renderSvg(option));
    written.push(`${name}.svg`);
  };
  for (const result of scenarios) {
    for (const curve of result.curves) write(curve.plot, lineChart(curve));
    if (Object.values(result.ratios).some(({ rounds }) => rounds > 0)) {
      write(`${result.scenario}-ratios`, ratioChart(result));
    }
  }
  return written;
}

export function renderSvg(option: EChartsOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option });
    return chart.renderToSVGString();
  } finally {
    // It holds a timer: without this the process would not end.
    chart.dispose();
  }
}

export function lineChart({ plot, x, y, logarithmic, lines }: Curve): EChartsOption {
  const xs = Object.values(lines).flatMap((points) => points.map(([at]) => at));
  const wide = Math.max(...xs) / Math.min(...xs) > 20;
  return {
    title: { text: plot, left: 'center' },
    legend: { top: 30 },
    grid: { top: 90, left: 80, right: 40, bottom: 60 },
    xAxis: { type: wide ? 'log' : 'value', name: x, nameLocation: 'middle', nameGap: 32 },
    yAxis: { type: logarithmic ? 'log' : 'value', name: y },
    series: Object.entries(lines).map(([name, points]) => {
      const [subject = '', kind = ''] = name.split(' ');
      return {
        type: 'line',
        name,
        data: points.map((point) => [...point]),
        symbolSize: 7,
        color: COLOURS[subject as keyof typeof COLOURS] ?? '#666666',
        lineStyle: { type: DASHES[kind] ?? 'solid', width: kind === 'p50' ? 1 : 2 },
      };
    }),
  };
}

/** A bar per ratio from 1, where both are equal, with its spread beside its name. */
export function ratioChart({ scenario, ratios }: ScenarioResult): EChartsOption {
  const shown = Object.entries(ratios)
    .filter(([, { rounds }]) => rounds > 0)
    .reverse();
  return {
    title: { text: `${scenario}: Outboard over Envoy (1 = equal)`, left: 'center' },
    grid: { top: 50, left: 300, right: 60, bottom: 50 },
    xAxis: { type: 'log', name: 'ratio', nameLocation: 'middle', nameGap: 28 },
    yAxis: {
      type: 'category',
      data: shown.map(([name, { min, max }]) => `${name}  (${min.toPrecision(2)}–${max.toPrecision(2)})`),
      axisLabel: { fontSize: 10, interval: 0 },
    },
    series: [
      {
        type: 'bar',
        color: COLOURS.outboard,
        data: shown.map(([, { median }]) => median),
        label: { show: true, position: 'right', formatter: ({ value }) => Number(value).toPrecision(3) },
        markLine: {
          silent: true,
          symbol: 'none',
          data: [{ xAxis: 1 }],
          lineStyle: { color: '#333333' },
          label: { show: false },
        },
      },
    ],
  };
}
