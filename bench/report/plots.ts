/** The curves of a run as SVG, and one bar chart per scenario of its ratios; by ECharts, which needs no browser. */
import { writeFileSync } from 'node:fs';
import { type EChartsOption, init } from 'echarts';
import type { Curve, ScenarioResult } from '../scenarios/scenario.ts';
import { verdict } from './verdict.ts';

const WIDTH = 860;
const HEIGHT = 480;
/** Told apart by readers who don't see red and green apart, too. */
const COLOURS = { outboard: '#0b6e99', envoy: '#d1622b' };
/** Of a ratio, from Outboard's side. */
const VERDICTS = { better: '#0b6e99', worse: '#d1622b', even: '#8a8a8a' };
const DASHES: Readonly<Record<string, 'solid' | 'dashed' | 'dotted'>> = {
  p50: 'dotted',
  p99: 'solid',
  'p99.9': 'dashed',
};

/** Names of a scenario's plots: its curves, and its ratios where there are any. */
export function plotsOf({ scenario, curves, ratios }: ScenarioResult): string[] {
  const hasRatios = Object.values(ratios).some(({ rounds }) => rounds > 0);
  return [...curves.map(({ plot }) => plot), ...(hasRatios ? [`${scenario}-ratios`] : [])];
}

/** Writes `STEM-PLOT.svg` for every plot; the files written. */
export function writePlots(stem: string, scenarios: readonly ScenarioResult[]): string[] {
  return scenarios.flatMap((result) =>
    plotsOf(result).map((plot) => {
      const curve = result.curves.find((candidate) => candidate.plot === plot);
      const file = `${stem}-${plot}.svg`;
      writeFileSync(file, curve === undefined ? ratioSvg(result) : renderSvg(lineChart(curve)));
      return file;
    }),
  );
}

export function renderSvg(option: EChartsOption, height: number = HEIGHT): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
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
    title: { text: plot, left: 'center', top: 6 },
    legend: { top: 36 },
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

const ROW = 26;

function ratioSvg(result: ScenarioResult): string {
  return renderSvg(ratioChart(result), 110 + ROW * Object.keys(result.ratios).length);
}

/** A bar per ratio from 1, where both are equal, with its spread beside its name. */
export function ratioChart({ scenario, ratios }: ScenarioResult): EChartsOption {
  const shown = Object.entries(ratios)
    .filter(([, { rounds }]) => rounds > 0)
    .reverse();
  return {
    title: { text: `${scenario}: Outboard over Envoy (blue: better, orange: worse)`, left: 'center' },
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
        data: shown.map(([name, ratio]) => ({
          value: ratio.median,
          itemStyle: { color: VERDICTS[verdict(name, ratio)] },
        })),
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
