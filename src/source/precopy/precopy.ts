import { SternaError } from '../../base/index.ts';
import { encodePassBegin } from '../../protocol/index.ts';
import type { PageTotals } from '../counters.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { ChosenPolicy } from '../policy/chosen-policy.ts';
import { diagnose } from '../policy/diagnosis.ts';
import { expectedDowntimeMs } from '../policy/expected-downtime.ts';
import type { EndDecision, IterateDecision, PolicyRound } from '../policy/policy.ts';
import { GuestThrottle } from './guest-throttle.ts';
import { policyLimits, Rounds } from './rounds.ts';
import { VcpuLimits } from './vcpu-limits.ts';

/** Passes shorter than this would only disturb the guest with flips. */
const PASS_MS_MIN = 5;
/** Less than this is not worth a round trip. */
const DRAIN_BYTES_MIN = 64 * 2 ** 10;

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
  try {
    return await passes(context, policy, rounds, throttle);
  } finally {
    // Before the pause, after a cancel, after a failure: wherever the guest goes on, at full speed.
    throttle.lift();
    rounds.close();
  }
}

async function passes(
  context: OutgoingContext,
  policy: ChosenPolicy,
  rounds: Rounds,
  throttle: GuestThrottle,
): Promise<AfterPrecopy> {
  const { record, clock, channel, sender } = context;
  const limits = policyLimits(context);
  const vcpuLimits = new VcpuLimits(context, throttle);
  record.remainingPages = await markEverythingDirty(context);
  record.dirtySyncCount = 1;
  const begun = await policy.begin({ ramPages: record.remainingPages, limits });
  sender.setPace(begun.bytesPerSecond ?? 0);
  for (let pass = 1; ; pass += 1) {
    rounds.beginPass();
    const totals = await sendPass(context, pass, record.remainingPages);
    if (pass === 1) context.reached('source.first-pass-sent');
    if (context.wantsPostcopy()) return leaveForPostcopy(context, pass);
    await waitUntil(context, startMsOfPass(context) + PASS_MS_MIN);
    let dirtiedPages = await syncDirtyBitmap(context, vcpuLimits);
    let round = rounds.describe(pass, totals, dirtiedPages);
    let decision = await policy.decide(round);
    if (
      decision.action === 'stop-and-copy' &&
      channel.duplex &&
      drainingPays(round, record.dirtyPagesPerSecond)
    ) {
      await drain(context);
      dirtiedPages += await syncDirtyBitmap(context, vcpuLimits);
      round = rounds.describe(pass, totals, dirtiedPages);
      decision = await policy.decide(round);
    }
    rounds.endPass(round);
    record.expectedDowntimeMs = expectedDowntimeMs(round);
    record.diagnosis = diagnose(round);
    record.endPass(clock.nowMs(), dirtiedPages);
    logPass(context, round, decision);
    if (decision.action === 'iterate') {
      apply(decision, context, throttle);
      vcpuLimits.apply(round);
    }
    context.publish();
    if (decision.action === 'give-up') throw gaveUp(context, round, decision);
    if (decision.action !== 'iterate') return decision.action;
  }
}

function apply(
  { bytesPerSecond, throttlePercent }: IterateDecision,
  { sender }: OutgoingContext,
  throttle: GuestThrottle,
): void {
  sender.setPace(bytesPerSecond ?? 0);
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
  const { record, clock, peer, sender } = context;
  record.status = 'active';
  context.publish();
  record.remainingPages = await markEverythingDirty(context);
  record.dirtySyncCount = 1;
  const { totals } = record.beginPass(1, false, record.remainingPages, clock.nowMs());
  await peer.send('PASS_BEGIN', encodePassBegin({ pass: 1, dirtyPages: record.remainingPages }));
  await sender.sendEmptyRuns(totals);
  await sendZeros(context, totals);
  record.endPass(clock.nowMs(), 0);
}

/** The pass was left early: what it had not looked at may hold zeros. */
async function leaveForPostcopy(context: OutgoingContext, pass: number): Promise<AfterPrecopy> {
  const { record, clock } = context;
  const { currentPass } = record;
  if (pass === 1 && currentPass !== undefined) await sendZeros(context, currentPass.totals);
  record.endPass(clock.nowMs(), 0);
  return 'postcopy';
}

async function sendZeros({ sender, record }: OutgoingContext, totals: PageTotals): Promise<void> {
  await sender.sendZeros(totals, (pages) => {
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
  pass: number,
  dirtyPages: number,
): Promise<PageTotals> {
  const { record, peer, sender, capabilities } = context;
  const { totals } = record.beginPass(pass, false, dirtyPages, context.clock.nowMs());
  if (sender.inFlightBytes === 0) context.meter.idle(context.clock.nowMs());
  await peer.send('PASS_BEGIN', encodePassBegin({ pass, dirtyPages }));
  if (pass === 1) await sender.sendEmptyRuns(totals);
  // Nothing can be a delta in the first pass: no page was sent before.
  const encode = capabilities.xbzrle && pass > 1;
  await sender.sendDirty(
    totals,
    {
      encode,
      keep: true,
      age: record.dirtySyncCount,
      limited: true,
      until: context.wantsPostcopy,
    },
    (pages) => {
      record.remainingPages -= pages;
    },
  );
  return totals;
}

/**
 * What is still under way would be downtime. Waiting for it pays while the guest dirties more
 * slowly than the link drains; otherwise the rest would only grow.
 */
function drainingPays(round: PolicyRound, dirtyPagesPerSecond: number): boolean {
  const dirtyBytesPerMs = (dirtyPagesPerSecond * round.wireBytesPerPage) / 1000;
  return round.inFlightBytes > DRAIN_BYTES_MIN && dirtyBytesPerMs < (round.linkBytesPerMs ?? 0);
}

/**
 * Resolves when the destination has applied everything that was sent: it answers a PING in its
 * turn.
 */
async function drain({ peer, interrupt, parameters }: OutgoingContext): Promise<void> {
  const pongs = peer.pongCount + peer.pingsUnderWay + 1;
  peer.ping();
  await interrupt.until(() => peer.pongCount >= pongs, parameters.stallTimeoutMs, 'answer to PING');
}

/** A wait of the interrupt ends at each frame that was taken, so it is repeated. */
async function waitUntil({ clock, interrupt }: OutgoingContext, endMs: number): Promise<void> {
  for (let leftMs = endMs - clock.nowMs(); leftMs > 0; leftMs = endMs - clock.nowMs()) {
    await interrupt.waitFor(leftMs);
  }
}

/** Reads and clears the vCPUs' logs. Returns the pages that became dirty since the last sync. */
async function syncDirtyBitmap(
  { machine, record, clock }: OutgoingContext,
  vcpuLimits: VcpuLimits,
): Promise<number> {
  await machine.flipDirtyLogs();
  const byLog = machine.memory.mergeRetiredLogsEach();
  vcpuLimits.noteSync(byLog);
  const dirtiedPages = byLog.reduce((sum, pages) => sum + pages, 0);
  record.remainingPages += dirtiedPages;
  record.dirtySyncCount += 1;
  const spanMs = clock.nowMs() - record.lastSyncMs;
  record.dirtyPagesPerSecond = spanMs > 0 ? (dirtiedPages * 1000) / spanMs : 0;
  record.lastSyncMs = clock.nowMs();
  return dirtiedPages;
}

function startMsOfPass({ record, clock }: OutgoingContext): number {
  return record.currentPass?.startMs ?? clock.nowMs();
}
