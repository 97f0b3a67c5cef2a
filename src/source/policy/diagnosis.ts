import {
  type Advice,
  type AdviceAction,
  type Diagnosis,
  type LimitingFactor,
  PAGE_BYTES,
  type Verdict,
} from '../../base/index.ts';
import { ASLEEP_PERCENT_MAX } from '../../guestmem/index.ts';
import { expectedDowntimeMs, pageMs } from './expected-downtime.ts';
import { type Forecast, type ForecastTerms, forecast, forecastTerms } from './forecast.ts';
import type { PolicyRound } from './policy.ts';
import { busyShareOf, rampMs, throttleFor } from './throttle.ts';
import { dirtiedIn, trendOf, workingSetPages } from './trend.ts';

/** A pass that went at this share of the user's limit was held back by it. */
const CAPPED_SHARE = 0.9;
/** Advice aims at passes that each leave half of the one before. */
const AIM = 0.5;
/** What takes no less of the time of a page is not worth to begin anew for. */
const ENCODER_GAIN_MIN = 0.1;

/** What a page that remains would take with another encoder. */
export interface EncodedPage {
  /** Table entry included. */
  readonly wireBytesPerPage: number;
  readonly encodeMsPerPage: number;
}

/** By the encoder; absent where it is on, or where nothing was sampled. */
export interface CompressionProspects {
  readonly xbzrle?: EncodedPage;
  readonly lz4?: EncodedPage;
}

/** Why a migration converges or does not, from the same figures that its policy goes by. Pure. */
export function diagnose(round: PolicyRound, prospects: CompressionProspects = {}): Diagnosis {
  const { history } = round;
  const last = history.at(-1);
  const eachMs = pageMs(round);
  const requiredDowntimeMs = expectedDowntimeMs(round);
  const terms = forecastTerms(round);
  const outlook = terms === undefined ? undefined : forecast(terms);
  const isNow =
    requiredDowntimeMs !== undefined && requiredDowntimeMs <= round.limits.downtimeLimitMs;
  const isStuck = ['plateau', 'rising'].includes(trendOf(history));
  const converges = round.remainingPages === 0 || isNow || (outlook !== undefined && !isStuck);
  const etaMs = isNow ? 0 : converges ? outlook?.etaMs : undefined;
  const spanMs = last?.durationMs ?? 0;
  return {
    ...verdictOf(round, converges),
    workingSetBytes: workingSetPages(history) * PAGE_BYTES,
    dirtyBytesPerSecond: spanMs > 0 ? ((last?.dirtiedPages ?? 0) * PAGE_BYTES * 1000) / spanMs : 0,
    effectiveBytesPerSecond: eachMs ? (PAGE_BYTES * 1000) / eachMs : undefined,
    requiredDowntimeMs,
    etaMs,
    advice: terms === undefined ? [] : adviceOf(round, terms, etaMs, prospects),
  };
}

function verdictOf(
  round: PolicyRound,
  converges: boolean,
): { readonly verdict: Verdict; readonly limitingFactor: LimitingFactor } {
  if (converges) return { verdict: 'converging', limitingFactor: 'none' };
  const { encodeMsPerPage, wireBytesPerPage, linkBytesPerMs, history } = round;
  if (encodeMsPerPage > wireBytesPerPage / (linkBytesPerMs ?? 0)) {
    return { verdict: 'cpu-limited', limitingFactor: 'encoder' };
  }
  if (isCapped(round)) return { verdict: 'bandwidth-limited', limitingFactor: 'max-bandwidth' };
  // With more left each time there is no set yet that it could be: the guest outruns the link.
  return trendOf(history) === 'rising'
    ? { verdict: 'diverging', limitingFactor: 'dirty-rate' }
    : { verdict: 'plateau', limitingFactor: 'working-set' };
}

/** The last pass went as fast as the user lets it. */
function isCapped({ limits, history }: PolicyRound): boolean {
  const cap = limits.maxBandwidthBytesPerSecond / 1000;
  const last = history.at(-1);
  if (cap === 0 || last === undefined || last.durationMs <= 0) return false;
  return last.wireBytes / last.durationMs >= CAPPED_SHARE * cap;
}

/** What would help, the mildest first. */
function adviceOf(
  round: PolicyRound,
  terms: ForecastTerms,
  etaMs: number | undefined,
  prospects: CompressionProspects,
): readonly Advice[] {
  const { elapsedMs, overheadMs, limits, remainingPages } = round;
  const advice: Advice[] = [];
  const add = (action: AdviceAction, outlook: Forecast, beganMs = elapsedMs) => {
    const predictedDowntimeMs = outlook.pagesMs + overheadMs;
    const predictedTotalMs = beganMs + outlook.etaMs + predictedDowntimeMs;
    advice.push({ action, predictedDowntimeMs, predictedTotalMs });
  };
  const asItIs = forecast(terms);
  if (etaMs !== undefined) {
    add('wait', asItIs ?? { etaMs, pagesMs: remainingPages * terms.pageMs });
    return advice;
  }
  const excess = (terms.writesPerMs * terms.pageMs) / AIM;
  const isWireBound = round.encodeMsPerPage < terms.pageMs;
  if (isCapped(round) && isWireBound && excess > 1) {
    const faster = forecast({ ...terms, pageMs: terms.pageMs / excess });
    if (faster !== undefined) add('max-bandwidth', faster);
  }
  for (const [action, page] of encodersOf(prospects)) {
    const anew = begunAnew(round, terms, page);
    if (anew !== undefined) add(action, anew.outlook, anew.firstPassMs);
  }
  const throttle = throttleFor(1 / excess, busyShareOf(round.history));
  if (!limits.allows.throttle && excess > 1 && throttle <= ASLEEP_PERCENT_MAX) {
    const slower = forecast({ ...terms, writesPerMs: terms.writesPerMs / excess });
    const untilSlowMs = rampMs(throttle, remainingPages * terms.pageMs);
    if (slower !== undefined) add('auto-converge', slower, elapsedMs + untilSlowMs);
  }
  // The pages follow: nothing of them is downtime.
  advice.push({
    action: 'postcopy-ram',
    predictedDowntimeMs: overheadMs,
    predictedTotalMs: elapsedMs + overheadMs + remainingPages * terms.pageMs,
  });
  add('downtime-limit', { etaMs: 0, pagesMs: remainingPages * terms.pageMs });
  return advice;
}

function encodersOf({ xbzrle, lz4 }: CompressionProspects) {
  const encoders: [AdviceAction, EncodedPage][] = [];
  if (xbzrle !== undefined) encoders.push(['xbzrle', xbzrle]);
  if (lz4 !== undefined) encoders.push(['x-codec', lz4]);
  return encoders;
}

/**
 * An encoder is chosen before a migration begins, so this is another one: its first pass as it was
 * here, and then passes with the encoder. Undefined where that does not converge either.
 */
function begunAnew(
  round: PolicyRound,
  terms: ForecastTerms,
  { wireBytesPerPage, encodeMsPerPage }: EncodedPage,
): { readonly firstPassMs: number; readonly outlook: Forecast } | undefined {
  const { history, ramPages } = round;
  const eachMs = pageMs({ ...round, wireBytesPerPage, encodeMsPerPage });
  if (eachMs === undefined || eachMs > terms.pageMs * (1 - ENCODER_GAIN_MIN)) return undefined;
  const first = history.find(({ pass }) => pass === 1);
  const firstPassMs = first?.durationMs ?? ramPages * terms.pageMs;
  const { workingSetPages: hotPages, writesPerMs } = terms;
  const remainingPages = dirtiedIn(firstPassMs, hotPages, writesPerMs);
  const outlook = forecast({ ...terms, pageMs: eachMs, remainingPages });
  return outlook && { firstPassMs, outlook };
}
