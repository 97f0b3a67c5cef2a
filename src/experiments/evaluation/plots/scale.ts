/** From values to pixels, and the values that the axis names. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

const TICKS = 5;

/** From 0 to a round number that is not below MAX, over the pixels from START to END. */
export function linearScale(max: number, start: number, end: number): Scale {
  const top = max > 0 && Number.isFinite(max) ? max : 1;
  const rough = top / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const count = Math.ceil(top / step - 1e-9);
  const ticks = Array.from({ length: count + 1 }, (_, index) =>
    Number((index * step).toPrecision(12)),
  );
  return { at: (value) => start + (value / (count * step)) * (end - start), ticks };
}

/** Powers of ten around MIN and MAX, which are above 0; what is below lies at START. */
export function logScale(min: number, max: number, start: number, end: number): Scale {
  const low = Math.floor(Math.log10(min > 0 ? min : 1));
  const high = Math.max(low + 1, Math.ceil(Math.log10(max > 0 ? max : 10)));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  const at = (value: number) => {
    const share = (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low);
    return start + Math.min(1, share) * (end - start);
  };
  return { at, ticks };
}

/** `50k`, `2M`: short enough for an axis. */
export function tickText(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}
