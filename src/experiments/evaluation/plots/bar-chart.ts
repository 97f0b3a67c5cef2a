import { linearScale, logScale, tickText } from './scale.ts';
import { colour, element, line, svgDocument, text } from './svg.ts';

/** One value of several variants. */
export interface BarGroup {
  readonly label: string;
  /** In the order of the chart's variants; undefined: there is none. */
  readonly values: readonly (number | undefined)[];
}

/** A panel has an axis of its own; all panels have the same groups below each other. */
export interface BarPanel {
  readonly title: string;
  readonly isLogarithmic?: boolean;
  readonly groups: readonly BarGroup[];
}

export interface BarChart {
  readonly title: string;
  readonly variants: readonly string[];
  readonly panels: readonly BarPanel[];
}

const LABELS = 150;
const PANEL = 250;
const GAP = 40;
const TOP = 76;
const BAR = 12;
const BETWEEN_GROUPS = 12;
const BOTTOM = 30;

/** Panels side by side, horizontal bars. Returns the text of an SVG file. */
export function barChart({ title, variants, panels }: BarChart): string {
  const labels = panels[0]?.groups.map(({ label }) => label) ?? [];
  const groupHeight = variants.length * BAR + BETWEEN_GROUPS;
  const bottom = TOP + labels.length * groupHeight;
  const width = LABELS + panels.length * (PANEL + GAP);
  const names = labels.map((label, index) =>
    text(LABELS - 8, TOP + (index + 0.5) * groupHeight, label, { 'text-anchor': 'end' }),
  );
  const drawn = panels.flatMap((panel, index) =>
    panelParts(panel, LABELS + index * (PANEL + GAP), bottom, groupHeight),
  );
  return svgDocument(width, bottom + BOTTOM, [
    text(10, 20, title, { 'font-size': 15 }),
    ...legend(variants, 10, 40),
    ...names,
    ...drawn,
  ]);
}

export function legend(names: readonly string[], left: number, y: number): string[] {
  const parts: string[] = [];
  let x = left;
  for (const [index, name] of names.entries()) {
    parts.push(element('rect', { x, y: y - 10, width: 12, height: 12, fill: colour(index) }));
    parts.push(text(x + 17, y, name));
    x += 40 + name.length * 7;
  }
  return parts;
}

function panelParts(panel: BarPanel, left: number, bottom: number, groupHeight: number): string[] {
  const known = panel.groups.flatMap(({ values }) =>
    values.filter((value) => value !== undefined && Number.isFinite(value)),
  ) as number[];
  const right = left + PANEL;
  const max = Math.max(0, ...known);
  const scale = panel.isLogarithmic
    ? logScale(Math.min(...known.filter((value) => value > 0), max || 1), max, left, right)
    : linearScale(max, left, right);
  const axis = scale.ticks.flatMap((tick) => [
    line(scale.at(tick), TOP - 4, scale.at(tick), bottom, '#dddddd'),
    text(scale.at(tick), bottom + 16, tickText(tick), { 'text-anchor': 'middle', fill: '#555555' }),
  ]);
  const bars = panel.groups.flatMap(({ values }, group) =>
    values.flatMap((value, index) => {
      if (value === undefined || !Number.isFinite(value)) return [];
      const y = TOP + group * groupHeight + index * BAR;
      const barWidth = Math.max(1, scale.at(value) - left);
      return [
        element('rect', { x: left, y, width: barWidth, height: BAR - 2, fill: colour(index) }),
      ];
    }),
  );
  return [text(left, TOP - 12, panel.title), ...axis, ...bars];
}
