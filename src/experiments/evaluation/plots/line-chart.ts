import { legend } from './bar-chart.ts';
import { linearScale, logScale, type Scale, tickText } from './scale.ts';
import { colour, element, line, svgDocument, text } from './svg.ts';

export interface Series {
  readonly name: string;
  /** From left to right. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly isXLogarithmic?: boolean;
  readonly isYLogarithmic?: boolean;
  readonly series: readonly Series[];
  /** A vertical line where something changes. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
}

const WIDTH = 640;
const HEIGHT = 380;
const LEFT = 80;
const RIGHT = WIDTH - 20;
const TOP = 64;
const BOTTOM = HEIGHT - 56;

/** Returns the text of an SVG file. */
export function lineChart(chart: LineChart): string {
  const points = chart.series.flatMap((series) => series.points);
  const x = axis(
    points.map(([value]) => value),
    chart.isXLogarithmic ?? false,
    [LEFT, RIGHT],
  );
  const y = axis(
    points.map(([, value]) => value),
    chart.isYLogarithmic ?? false,
    [BOTTOM, TOP],
  );
  return svgDocument(WIDTH, HEIGHT, [
    text(10, 20, chart.title, { 'font-size': 15 }),
    ...legend(
      chart.series.map(({ name }) => name),
      10,
      42,
    ),
    ...grid(x, y),
    ...(chart.marks ?? []).flatMap((mark) => [
      line(x.at(mark.x), TOP, x.at(mark.x), BOTTOM, '#999999'),
      text(x.at(mark.x) + 4, TOP + 12, mark.label, { fill: '#555555' }),
    ]),
    ...chart.series.flatMap((series, index) => curve(series, colour(index), x, y)),
    text((LEFT + RIGHT) / 2, HEIGHT - 14, chart.xTitle, { 'text-anchor': 'middle' }),
    text(0, 0, chart.yTitle, {
      'text-anchor': 'middle',
      transform: `translate(18 ${(TOP + BOTTOM) / 2}) rotate(-90)`,
    }),
  ]);
}

function axis(
  values: readonly number[],
  isLogarithmic: boolean,
  [start, end]: readonly [number, number],
): Scale {
  const known = values.filter(Number.isFinite);
  const max = Math.max(0, ...known);
  if (!isLogarithmic) return linearScale(max, start, end);
  const above = known.filter((value) => value > 0);
  return logScale(Math.min(...above, max || 1), max, start, end);
}

function grid(x: Scale, y: Scale): string[] {
  return [
    ...x.ticks.flatMap((tick) => [
      line(x.at(tick), TOP, x.at(tick), BOTTOM, '#eeeeee'),
      text(x.at(tick), BOTTOM + 18, tickText(tick), { 'text-anchor': 'middle', fill: '#555555' }),
    ]),
    ...y.ticks.flatMap((tick) => [
      line(LEFT, y.at(tick), RIGHT, y.at(tick), '#dddddd'),
      text(LEFT - 6, y.at(tick) + 4, tickText(tick), { 'text-anchor': 'end', fill: '#555555' }),
    ]),
  ];
}

function curve({ points }: Series, stroke: string, x: Scale, y: Scale): string[] {
  const known = points.filter((point) => point.every(Number.isFinite));
  if (known.length === 0) return [];
  const places = known.map(([px, py]) => [x.at(px), y.at(py)] as const);
  const path = places.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ');
  const dots =
    places.length > 30
      ? []
      : places.map(([cx, cy]) => element('circle', { cx, cy, r: 3, fill: stroke }));
  return [element('polyline', { points: path, fill: 'none', stroke, 'stroke-width': 2 }), ...dots];
}
