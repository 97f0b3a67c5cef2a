import { describe, expect, it } from 'vitest';
import { barChart, lineChart } from '../../../../src/experiments/evaluation/plots/index.ts';
import {
  linearScale,
  logScale,
  tickText,
} from '../../../../src/experiments/evaluation/plots/scale.ts';
import { element, text } from '../../../../src/experiments/evaluation/plots/svg.ts';

describe('a scale', () => {
  it.each([
    [10, [0, 2, 4, 6, 8, 10]],
    [11, [0, 5, 10, 15]],
    [0.3, [0, 0.1, 0.2, 0.3]],
    [0, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [Number.NaN, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  ])('from 0 to %d has ticks %j', (max, ticks) => {
    const scale = linearScale(max, 100, 200);
    expect(scale.ticks).toEqual(ticks);
    expect(scale.at(0)).toBe(100);
    expect(scale.at(ticks.at(-1) ?? 0)).toBeCloseTo(200);
  });

  it('of logarithms has powers of ten around what is shown', () => {
    const scale = logScale(3, 4000, 0, 400);
    expect(scale.ticks).toEqual([1, 10, 100, 1000, 10_000]);
    expect(scale.at(100)).toBeCloseTo(200);
    expect(scale.at(0)).toBe(0);
    expect(scale.at(1e9)).toBe(400);
  });

  it('names its ticks shortly', () => {
    expect([0, 0.25, 1500, 20_000, 3e6].map(tickText)).toEqual(['0', '0.25', '1500', '20k', '3M']);
  });
});

describe('SVG', () => {
  it('is escaped, in text and in attributes', () => {
    expect(text(1, 2, 'D < B & "x"')).toBe('<text x="1" y="2">D &lt; B &amp; &quot;x&quot;</text>');
    expect(element('a', { b: '"<' })).toBe('<a b="&quot;&lt;"/>');
  });

  it('bars are as long as their values, and what is unknown has none', () => {
    const svg = barChart({
      title: 'Bars',
      variants: ['baseline', 'improved'],
      panels: [
        {
          title: 'ms',
          groups: [
            { label: 'one', values: [10, 5] },
            { label: 'two', values: [Number.NaN, undefined] },
          ],
        },
      ],
    });
    const widths = [...svg.matchAll(/<rect x="150" y="\d+" width="(\d+)"/g)].map(([, width]) =>
      Number(width),
    );
    expect(widths).toEqual([250, 125]);
    expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 440 \d+"/);
    expect(balanced(svg)).toBe(true);
  });

  it('a line goes through its points, those that are known', () => {
    const svg = lineChart({
      title: 'Line',
      xTitle: 'x',
      yTitle: 'y',
      series: [
        {
          name: 'known',
          points: [
            [0, 0],
            [1, Number.NaN],
            [10, 10],
          ],
        },
        { name: 'none', points: [] },
      ],
      marks: [{ x: 10, label: 'here' }],
    });
    expect(svg).toContain('points="80.0,324.0 620.0,64.0"');
    expect(svg.match(/<circle/g)).toHaveLength(2);
    expect(svg).toContain('>here</text>');
    expect(svg).not.toContain('NaN');
    expect(balanced(svg)).toBe(true);
  });
});

/** Whether each element that is opened is closed. */
function balanced(svg: string): boolean {
  const open: string[] = [];
  for (const [tag, end, name = ''] of svg.matchAll(/<(\/?)([a-z]+)[^>]*>/g)) {
    if (end === '/') {
      if (open.pop() !== name) return false;
    } else if (!tag.endsWith('/>')) open.push(name);
  }
  return open.length === 0;
}
