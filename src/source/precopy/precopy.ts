import { SternaError } from '../../base/index.ts';
import { encodePassBegin } from '../../protocol/index.ts';
import type { DirtiedPages, PageTotals } from '../counters.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { ChosenPolicy } from '../policy/chosen-policy.ts';
import { diagnose } from '../policy/diagnosis.ts';
import { drainingPays, expectedDowntimeMs } from '../policy/expected-downtime.ts';
import type { EndDecision, IterateDecision, PolicyRound } from '../policy/policy.ts';
import { CompressionProbe } from './compression-probe.ts';
import { GuestThrottle } from './guest-throttle.ts';
import { PageOrder } from './page-order.ts';
import { policyLimits, Rounds } from './rounds.ts';
import { VcpuLimits } from './vcpu-limits.ts';

/** Passes shorter than this would only disturb the guest with flips. */
const PASS_MS_MIN = 5;

/** What follows pre-copy: the rest while the guest stands still, or after it was handed over. */
export type AfterPrecopy = 'stop-and-copy' | 'postcopy';

/**
 * Sends RAM in passes while the guest runs, until the policy says otherwise: the rest fits into the
 * downtime limit, or a rule, the user or the timeout ends it. The pages that are still dirty stay
 * marked. Throws E_PRECOPY_TIMEOUT when it gives up.
 */
export async function precopy(
  context: OutgoingContext,
  policy: ChosenPolicy,
): Promise<AfterPrecopy> {
  const { record, machine, clock } = context;
  record.status = 'active';
  context.publish();
  const throttle = new GuestThrottle(machine, clock);
  record.throttle = throttle;
  const rounds = new Rounds(context, throttle);
  const vcpuLimits = new VcpuLimits(context, throttle);
  const order = new PageOrder(context, (byLog) => vcpuLimits.noteSync(byLog));
  try {
    return await passes(context, { policy, rounds, throttle, vcpuLimits, order });
  } finally {
    order.end();
    // Before the pause, after a cancel, after a failure: wherever the guest goes on, at full speed.
    throttle.lift();
    rounds.close();
  }
}

interface Parts {
  readonly policy: ChosenPolicy;
  readonly rounds: Rounds;
  readonly throttle: GuestThrottle;
  readonly vcpuLimits: VcpuLimits;
  readonly order: PageOrder;
}

async function passes(
  context: OutgoingContext,
  { policy, rounds, throttle, vcpuLimits, order }: Parts,
): Promise<AfterPrecopy> {
  const { record, clock, channel, frames } = context;
  const limits = policyLimits(context);
  const probe = new CompressionProbe(context);
  record.remainingPages = await markEverythingDirty(context);
  record.dirtySyncCount = 1;
  const begun = await policy.begin({ ramPages: record.remainingPages, limits });
  frames.setPace(begun.bytesPerSecond ?? 0);
  let passMsMax: number | undefined;
  for (let pass = 1; ; pass += 1) {
    rounds.beginPass();
    const totals = await sendPass(context, order, pass, record.remainingPages, passMsMax);
    if (pass === 1) context.reached('source.first-pass-sent');
    if (context.wantsPostcopy()) return leaveForPostcopy(context, pass);
    await waitUntil(context, startMsOfPass(context) + PASS_MS_MIN);
    let pages = await endPass(context, order);
    let round = rounds.describe(pass, totals, pages.written);
    let decision = await policy.decide(round);
    if (decision.action === 'stop-and-copy' && channel.duplex && drainingPays(round)) {
      await context.pageChannels.drain(context.parameters.stallTimeoutMs);
      const more = await endPass(context, order);
      pages = { dirtied: pages.dirtied + more.dirtied, written: pages.written + more.written };
      round = rounds.describe(pass, totals, pages.written);
      decision = await policy.decide(round);
    }
    rounds.endPass(round);
    record.expectedDowntimeMs = expectedDowntimeMs(round);
    // Not before a pause, which must not wait for it.
    if (decision.action === 'iterate') probe.sample();
    record.diagnosis = diagnose(round, probe.prospects(round));
    record.endPass(clock.nowMs(), pages);
    logPass(context, round, decision);
    if (decision.action === 'iterate') {
      apply(decision, context, throttle);
      ({ passMsMax } = decision);
      vcpuLimits.apply(round);
    }
    context.publish();
    if (decision.action === 'give-up') throw gaveUp(context, round, decision);
    if (decision.action !== 'iterate') return decision.action;
  }
}

function apply(
  { bytesPerSecond, throttlePercent }: IterateDecision,
  { frames }: OutgoingContext,
  throttle: GuestThrottle,
): void {
  frames.setPace(bytesPerSecond ?? 0);
  if (throttlePercent !== undefined) throttle.set(throttlePercent);
}

function logPass(
  { log }: OutgoingContext,
  { history, limits, ...figures }: PolicyRound,
  { action, because }: EndDecision | IterateDecision,
): void {
  const dirtiedPages = history.at(-1)?.dirtiedPages;
  log.debug({ event: 'precopy.pass', ...figures, dirtiedPages, decision: action, because });
}

function gaveUp(
  { parameters }: OutgoingContext,
  { pass, remainingPages }: PolicyRound,
  { reason, because }: EndDecision,
): SternaError {
  const text =
    reason === 'timeout'
      ? 'Migration did not converge in time'
      : 'The policy gave the migration up';
  const { timeoutMs } = parameters;
  const detail = { timeoutMs, remainingPages, passes: pass, reason, because };
  return new SternaError('E_PRECOPY_TIMEOUT', text, { detail });
}

/**
 * Before the guest goes first: pages that never held anything, and those that hold only zeros, are
 * told while it still runs, so that it never waits for them.
 */
export async function advisePostcopy(context: OutgoingContext): Promise<void> {
  const { record, clock, peer, pageSender } = context;
  record.status = 'active';
  context.publish();
  record.remainingPages = await markEverythingDirty(context);
  record.dirtySyncCount = 1;
  const { totals } = record.beginPass(1, false, record.remainingPages, clock.nowMs());
  await peer.send('PASS_BEGIN', encodePassBegin({ pass: 1, dirtyPages: record.remainingPages }));
  await pageSender.sendEmptyRuns(totals);
  await sendZeros(context, totals);
  record.endPass(clock.nowMs());
}

/** The pass was left early: what it had not looked at may hold zeros. */
async function leaveForPostcopy(context: OutgoingContext, pass: number): Promise<AfterPrecopy> {
  const { record, clock } = context;
  const { currentPass } = record;
  if (pass === 1 && currentPass !== undefined) await sendZeros(context, currentPass.totals);
  record.endPass(clock.nowMs());
  return 'postcopy';
}

async function sendZeros(
  { pageSender, record }: OutgoingContext,
  totals: PageTotals,
): Promise<void> {
  await pageSender.sendZeros(totals, (pages) => {
    record.remainingPages -= pages;
  });
}

/**
 * Every page that ever held something becomes dirty. A second attempt, and a second hop, begin like
 * the first: what an earlier migration had sent counts for nothing.
 */
export async function markEverythingDirty(context: OutgoingContext): Promise<number> {
  const { machine } = context;
  await machine.flipDirtyLogs();
  machine.memory.mergeRetiredLogs();
  return machine.memory.blocks.reduce(
    (pages, block) => pages + block.kernels.dirtyAllPopulated(),
    0,
  );
}

async function sendPass(
  context: OutgoingContext,
  order: PageOrder,
  pass: number,
  dirtyPages: number,
  passMsMax = Number.POSITIVE_INFINITY,
): Promise<PageTotals> {
  const { record, peer, frames, pageSender, capabilities, clock, pageChannels, parameters } =
    context;
  const endMs = clock.nowMs() + passMsMax;
  const { totals } = record.beginPass(pass, false, dirtyPages, clock.nowMs());
  if (frames.inFlightBytes === 0) context.meter.idle(clock.nowMs());
  await peer.send('PASS_BEGIN', encodePassBegin({ pass, dirtyPages }));
  order.beginPass(pass, dirtyPages);
  await pageChannels.beginPass(dirtyPages, parameters.stallTimeoutMs);
  if (pass === 1) await pageSender.sendEmptyRuns(totals);
  const options = {
    // Nothing can be a delta in the first pass: no page was sent before.
    encode: capabilities.xbzrle && pass > 1,
    keep: true,
    // Above what the cache keeps with age 0, by more than the age guard.
    age: record.dirtySyncCount + 1,
    limited: true,
    until: () => context.wantsPostcopy() || clock.nowMs() >= endMs,
  };
  const pagesSent = (pages: number) => {
    record.remainingPages -= pages;
  };
  if (order.isNeeded) await pageSender.sendSupplied(order, totals, options, pagesSent);
  else await pageSender.sendDirty(totals, options, pagesSent);
  await pageChannels.settle(parameters.stallTimeoutMs);
  return totals;
}

/** A wait of the interrupt ends at each frame that was taken, so it is repeated. */
async function waitUntil({ clock, interrupt }: OutgoingContext, endMs: number): Promise<void> {
  for (let leftMs = endMs - clock.nowMs(); leftMs > 0; leftMs = endMs - clock.nowMs()) {
    await interrupt.waitFor(leftMs);
  }
}

/** Reads and clears the vCPUs' logs behind the pages that were sent. */
async function endPass(
  { record, clock }: OutgoingContext,
  order: PageOrder,
): Promise<DirtiedPages> {
  const pages = await order.endPass();
  record.dirtySyncCount += 1;
  const spanMs = clock.nowMs() - record.lastSyncMs;
  record.dirtyPagesPerSecond = spanMs > 0 ? (pages.written * 1000) / spanMs : 0;
  record.lastSyncMs = clock.nowMs();
  return pages;
}

function startMsOfPass({ record, clock }: OutgoingContext): number {
  return record.currentPass?.startMs ?? clock.nowMs();
}
