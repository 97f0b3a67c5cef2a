import { type MigrationParameters, SternaError } from '../../base/index.ts';
import { encodePassBegin } from '../../protocol/index.ts';
import type { DirtiedPages, PageTotals } from '../counters.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import { PageOrder } from './page-order.ts';
import {
  decidePrecopy,
  expectedDowntimeMs,
  type PrecopyLimits,
  type PrecopyRound,
} from './precopy-policy.ts';

/**
 * A guess of pause, state, records and wake-ups before anything was measured; two round trips come
 * on top.
 */
const SWITCH_OVERHEAD_MS = 3;
/** Passes shorter than this would only disturb the guest with flips. */
const PASS_MS_MIN = 5;
/** Less than this is not worth a round trip. */
const DRAIN_BYTES_MIN = 64 * 2 ** 10;

/** What follows pre-copy: the rest while the guest stands still, or after it was handed over. */
export type AfterPrecopy = 'stop-and-copy' | 'postcopy';

/**
 * Sends RAM in passes while the guest runs, until the rest fits into the downtime limit (or a rule,
 * the user or the timeout says otherwise). The pages that are still dirty stay marked. Throws
 * E_PRECOPY_TIMEOUT when it gives up.
 */
export async function precopy(context: OutgoingContext): Promise<AfterPrecopy> {
  const order = new PageOrder(context);
  try {
    return await sendPasses(context, order);
  } finally {
    order.end();
  }
}

async function sendPasses(context: OutgoingContext, order: PageOrder): Promise<AfterPrecopy> {
  const { record, clock, parameters, channel } = context;
  record.status = 'active';
  context.publish();
  const startMs = clock.nowMs();
  record.remainingPages = await markEverythingDirty(context);
  record.dirtySyncCount = 1;
  let lastRemainingPages: number | undefined;
  for (let pass = 1; ; pass += 1) {
    const totals = await sendPass(context, order, pass, record.remainingPages);
    if (pass === 1) context.reached('source.first-pass-sent');
    if (context.wantsPostcopy()) return leaveForPostcopy(context, pass);
    await waitUntil(context, startMsOfPass(context) + PASS_MS_MIN);
    let dirtied = await endPass(context, order);
    const describe = () => ({
      ...describeRound(context, pass, totals, clock.nowMs() - startMs),
      lastRemainingPages,
    });
    let round = describe();
    let decision = decidePrecopy(round, limitsOf(parameters));
    if (
      decision.action === 'stop-and-copy' &&
      channel.duplex &&
      drainingPays(round, record.dirtyPagesPerSecond)
    ) {
      await drain(context);
      const more = await endPass(context, order);
      dirtied = {
        dirtied: dirtied.dirtied + more.dirtied,
        written: dirtied.written + more.written,
      };
      round = describe();
      decision = decidePrecopy(round, limitsOf(parameters));
    }
    record.expectedDowntimeMs = expectedDowntimeMs(round);
    record.endPass(clock.nowMs(), dirtied);
    context.log.debug({ event: 'precopy.pass', ...round, ...dirtied, decision: decision.action });
    context.publish();
    lastRemainingPages = record.remainingPages;
    if (decision.action === 'stop-and-copy' || decision.action === 'postcopy') {
      return decision.action;
    }
    if (decision.action === 'give-up') {
      throw new SternaError('E_PRECOPY_TIMEOUT', 'Migration did not converge in time', {
        detail: {
          timeoutMs: parameters.timeoutMs,
          remainingPages: record.remainingPages,
          passes: pass,
        },
      });
    }
  }
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

async function sendZeros({ sender, record }: OutgoingContext, totals: PageTotals): Promise<void> {
  await sender.sendZeros(totals, (pages) => {
    record.remainingPages -= pages;
  });
}

function limitsOf(parameters: MigrationParameters): PrecopyLimits {
  const { mode, postcopyAfterPasses, postcopyPlateau } = parameters;
  const hybrid = { afterPasses: postcopyAfterPasses, plateau: postcopyPlateau === 'on' };
  return { ...parameters, hybrid: mode === 'hybrid' ? hybrid : undefined };
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
): Promise<PageTotals> {
  const { record, peer, sender, capabilities } = context;
  const { totals } = record.beginPass(pass, false, dirtyPages, context.clock.nowMs());
  if (sender.inFlightBytes === 0) context.meter.idle(context.clock.nowMs());
  await peer.send('PASS_BEGIN', encodePassBegin({ pass, dirtyPages }));
  order.beginPass(pass, dirtyPages);
  if (pass === 1) await sender.sendEmptyRuns(totals);
  const options = {
    // Nothing can be a delta in the first pass: no page was sent before.
    encode: capabilities.xbzrle && pass > 1,
    keep: true,
    // Above what the cache keeps with age 0, by more than the age guard.
    age: record.dirtySyncCount + 1,
    limited: true,
    until: context.wantsPostcopy,
  };
  const pagesSent = (pages: number) => {
    record.remainingPages -= pages;
  };
  if (order.isNeeded) await sender.sendSupplied(order, totals, options, pagesSent);
  else await sender.sendDirty(totals, options, pagesSent);
  return totals;
}

/**
 * What is still under way would be downtime. Waiting for it pays while the guest dirties more
 * slowly than the link drains; otherwise the rest would only grow.
 */
function drainingPays(round: PrecopyRound, dirtyPagesPerSecond: number): boolean {
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

function describeRound(
  context: OutgoingContext,
  pass: number,
  totals: PageTotals,
  elapsedMs: number,
): Omit<PrecopyRound, 'lastRemainingPages'> {
  const { record, sender, meter, parameters } = context;
  // Not the pages that never held anything: the first pass tells of them in a few bytes, and they
  // will not come again.
  const pages = Math.max(1, record.currentPass?.dirtyPages ?? 0);
  const assumed = parameters.availSwitchoverBandwidthBytesPerSecond / 1000;
  return {
    pass,
    remainingPages: record.remainingPages,
    inFlightBytes: sender.inFlightBytes,
    wireBytesPerPage: totals.wireBytes / pages,
    encodeMsPerPage: totals.encodeMs / pages,
    linkBytesPerMs: assumed > 0 ? assumed : meter.bytesPerMs,
    overheadMs: SWITCH_OVERHEAD_MS + 2 * meter.roundTripMs,
    elapsedMs,
  };
}
