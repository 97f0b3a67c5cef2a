import Table from 'cli-table3';
import { formatBytes } from '../../base/index.ts';
import type {
  Plan,
  PlanRow,
  PlanScore,
  Range,
  Recommendation,
  ScoredFigure,
} from '../../experiments/plan/index.ts';
import { formatMs, formatPercent, formatRate } from './format.ts';

/** A narrower range says nothing that the middle does not. */
const RANGE_SHARE_MIN = 0.05;

/** The table of a plan, what it goes by, and what it recommends. */
export function planReport(plan: Plan): string {
  const { guest, link, recommendation } = plan;
  const table = new Table({
    head: ['mode', 'codec', 'time', 'downtime', 'data', 'guest slowdown', ''],
    style: { head: [], border: [] },
  });
  for (const row of plan.rows) table.push(cellsOf(row, row === chosenRow(plan)));
  return [
    `Guest: ${formatBytes(guest.populatedBytes)} in use, ${formatRate(guest.dirtyBytesPerSecond)} dirtied, ` +
      `${formatBytes(guest.hotBytes)} of it hot, ${formatPercent(guest.zeroShare)} zero`,
    `Link: ${formatRate(link.bytesPerMs * 1000)}, round trip ${formatMs(link.roundTripMs)}`,
    `Policy: ${plan.policy}${fallbackText(plan)}, downtime limit ${formatMs(plan.downtimeLimitMs)}`,
    table.toString(),
    recommendationText(recommendation),
  ].join('\n');
}

/** The ways that end and do not slow the guest, a line each, and what is recommended. */
export function shortPlanReport(plan: Plan): string {
  const rows = plan.rows.filter((row) => row.outcome === 'completed' && row.slowing === 'none');
  const lines = rows.map((row) => {
    const figures = [
      formatMs(row.totalMs.expected).padStart(10),
      formatMs(row.downtimeMs.expected).padStart(10),
      formatBytes(row.wireBytes.expected).padStart(11),
    ];
    const mark = row === chosenRow(plan) ? '  recommended' : '';
    return `${row.mode.padEnd(9)}${row.codec.padEnd(11)}${figures.join('')}${mark}`;
  });
  const head = `${''.padEnd(20)}${'time'.padStart(10)}${'downtime'.padStart(10)}${'data'.padStart(11)}`;
  const { link } = plan;
  return [
    `Link: ${formatRate(link.bytesPerMs * 1000)}, round trip ${formatMs(link.roundTripMs)}`,
    head,
    ...lines,
    recommendationText(plan.recommendation),
  ].join('\n');
}

/** As options of `sterna migrate`, and why. */
function recommendationText(recommendation: Recommendation): string {
  return [
    `Recommended: ${flagsOf(recommendation).join(' ')}`,
    ...recommendation.because.map((reason) => `  ${reason}`),
  ].join('\n');
}

function flagsOf({ mode, codec, xbzrleCacheBytes }: Recommendation): string[] {
  return [
    `--mode ${mode}`,
    ...(codec.startsWith('xbzrle') ? ['--comp-methods xbzrle'] : []),
    ...(xbzrleCacheBytes === undefined
      ? []
      : [`--comp-xbzrle-cache ${xbzrleCacheBytes / 2 ** 20}M`]),
    ...(codec.endsWith('lz4') ? ['--codec auto'] : []),
  ];
}

function fallbackText({ policyFallback }: Plan): string {
  return policyFallback === undefined ? '' : ` (instead of the user's: ${policyFallback})`;
}

/** How far the plan was off. */
export function scoreReport({ row, total, downtime, data }: PlanScore): string {
  const table = new Table({
    head: [`${row.mode}, ${codecText(row)}`, 'predicted', 'actual', 'error', 'target'],
    style: { head: [], border: [] },
  });
  const relative = ({ error }: ScoredFigure) =>
    `${error >= 0 ? '+' : ''}${(error * 100).toFixed(1)} %`;
  const line = (
    name: string,
    figure: ScoredFigure,
    format: (value: number) => string,
    error: string,
    target: string,
  ) =>
    table.push([
      name,
      format(figure.predicted.expected),
      format(figure.actual),
      error,
      `${target}: ${figure.isWithin ? 'met' : 'missed'}`,
    ]);
  line('time', total, formatMs, relative(total), '20 %');
  line('downtime', downtime, formatMs, `${downtime.error.toFixed(2)} x`, '2 x');
  line('data', data, formatBytes, relative(data), '15 %');
  return table.toString();
}

function chosenRow({ rows, recommendation: { mode, codec } }: Plan): PlanRow | undefined {
  return rows.find((row) => row.mode === mode && row.codec === codec && row.slowing === 'none');
}

function cellsOf(row: PlanRow, isChosen: boolean): string[] {
  const { mode, outcome } = row;
  const codec = codecText(row);
  const mark = isChosen ? 'recommended' : row.fits ? '' : 'above the limit';
  if (outcome !== 'completed') {
    const what = outcome === 'endless' ? 'does not converge' : 'gives up';
    return [mode, codec, what, '', rangeText(row.wireBytes, formatBytes), '', ''];
  }
  return [
    mode,
    codec,
    rangeText(row.totalMs, formatMs),
    rangeText(row.downtimeMs, formatMs),
    rangeText(row.wireBytes, formatBytes),
    rangeText(row.slowdown, formatPercent),
    mark,
  ];
}

/** With what slows the guest, which is no codec but the other thing that one chooses. */
function codecText({ codec, slowing }: PlanRow): string {
  return slowing === 'none' ? codec : `${codec}, ${slowing}`;
}

function rangeText({ low, expected, high }: Range, format: (value: number) => string): string {
  const text = format(expected);
  const [from, to] = [format(low), format(high)];
  const isNarrow = from === to || high - low <= RANGE_SHARE_MIN * expected;
  return isNarrow ? text : `${text} (${from} to ${to})`;
}
