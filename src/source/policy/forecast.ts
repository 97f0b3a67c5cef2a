import { pageMs } from './expected-downtime.ts';
import type { PolicyRound } from './policy.ts';
import { dirtiedIn, workingSetPages, writesPerMs } from './trend.ts';

/** A guest and a link as plain figures, from which the passes to come follow. */
export interface ForecastTerms {
  readonly remainingPages: number;
  /** That one page takes, on the wire or in the encoder. */
  readonly pageMs: number;
  /** To pages of the working set, at random. */
  readonly writesPerMs: number;
  /** No pass dirties more. */
  readonly workingSetPages: number;
  /** In which the remaining pages must fit, without what a switch costs anyway. */
  readonly budgetMs: number;
}

export interface Forecast {
  /** Until the guest can be paused. */
  readonly etaMs: number;
  /** Of the last pages. */
  readonly pagesMs: number;
}

/**
 * Undefined while the link was not measured, or no pass has ended. What is under way does not count
 * in the budget: it drains before a switch.
 */
export function forecastTerms(round: PolicyRound): ForecastTerms | undefined {
  const eachMs = pageMs(round);
  if (eachMs === undefined || round.history.length === 0) return undefined;
  return {
    remainingPages: round.remainingPages,
    pageMs: eachMs,
    writesPerMs: writesPerMs(round.history, round.throttlePercent),
    workingSetPages: workingSetPages(round.history),
    budgetMs: Math.max(0, round.limits.downtimeLimitMs - round.overheadMs),
  };
}

const PASSES_MAX = 1000;
/** As in pre-copy: shorter passes would only disturb the guest. */
const PASS_MS_MIN = 5;
/** What shrinks by less than this share in a pass is not waited for. */
const SHRINK_MIN = 0.001;

/**
 * Pass after pass: what is left takes its time, in which the guest writes on in its working set.
 * Undefined when that never fits into the budget.
 */
export function forecast(terms: ForecastTerms): Forecast | undefined {
  const { pageMs, writesPerMs, workingSetPages, budgetMs } = terms;
  let etaMs = 0;
  let pages = terms.remainingPages;
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const pagesMs = pages * pageMs;
    if (pagesMs <= budgetMs) return { etaMs, pagesMs };
    const passMs = Math.max(PASS_MS_MIN, pagesMs);
    const next = dirtiedIn(passMs, workingSetPages, writesPerMs);
    if (next >= pages * (1 - SHRINK_MIN)) return undefined;
    etaMs += passMs;
    pages = next;
  }
  return undefined;
}
