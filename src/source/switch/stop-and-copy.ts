import {
  encodeMachineState,
  encodePageMap,
  encodePassBegin,
  encodeStopped,
  encodeSwitchover,
} from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import { PromisedPages } from '../postcopy/promised-pages.ts';
import { markEverythingDirty } from '../precopy/precopy.ts';
import { answered } from '../setup.ts';

/**
 * Loading a machine state of the largest size and looking through the received map takes far less.
 */
const SWITCHOVER_ACK_LIMIT_MS = 10_000;

/** A link of which nothing is known may be as slow as this (100 KB/s). */
const UNMEASURED_BYTES_PER_MS = 100;

/** Splits the downtime into named parts that add up to it. */
export class DowntimeClock {
  readonly startMs: number;
  private readonly context: OutgoingContext;
  private lastMs: number;

  constructor(context: OutgoingContext) {
    this.context = context;
    this.startMs = context.clock.nowMs();
    this.lastMs = this.startMs;
  }

  /** The time since the last mark was spent on `part`. */
  mark(part: string): void {
    const nowMs = this.context.clock.nowMs();
    const parts = this.context.record.downtimeParts;
    parts[part] = (parts[part] ?? 0) + nowMs - this.lastMs;
    this.lastMs = nowMs;
  }

  get elapsedMs(): number {
    return this.lastMs - this.startMs;
  }
}

/**
 * Pauses the guest and sends what is left: the pages that are dirty (or, when they are to come
 * `later`, only which ones they are), then the state of vCPUs and devices. Resolves when the
 * destination could run the guest; nothing is decided yet, and any failure lets the guest go on
 * here. `guestStands` is called when all was sent: no record may say that the guest is being given
 * away while it still runs here.
 */
export async function stopAndCopy(
  context: OutgoingContext,
  downtime: DowntimeClock,
  guestStands: () => void,
  rest: 'now' | 'later' = 'now',
): Promise<PromisedPages | undefined> {
  const { machine, record, channel, peer } = context;
  record.status = 'device';
  await machine.pause('migration');
  context.reached('source.paused');
  downtime.mark('pause');
  record.precopyBytes = context.sentBytes();
  await finalSync(context);
  downtime.mark('sync');
  sendStopped(context);
  const promised = rest === 'later' ? promisePages(context) : undefined;
  if (promised === undefined) await sendLastPages(context);
  downtime.mark('pages');
  const state = await machine.save();
  peer.post('MACHINE_STATE', encodeMachineState(state));
  const { pageCount } = machine.memory;
  const strictVerify = context.parameters.verify === 'strict' && channel.duplex;
  const paused = machine.pauseReasons().includes('operator');
  const { batches } = context.frames;
  const missing = promised === undefined ? {} : { missingPages: promised.count };
  const switchover = { pages: pageCount, batches, strictVerify, paused, ...missing };
  peer.post('SWITCHOVER', encodeSwitchover(switchover));
  context.reached('source.switchover-sent');
  downtime.mark('state');
  // Early enough for GRANT, and late enough that the messages above do not wait for the disk: they
  // go out before the next turn.
  await context.clock.yieldToLoop();
  guestStands();
  // Told behind the writes, while the destination loads: the guest would wait for it.
  void context.clock.yieldToLoop().then(context.publish);
  if (channel.duplex) {
    await answered(
      context,
      SWITCHOVER_ACK_LIMIT_MS + drainMs(context),
      'SWITCHOVER_ACK',
      () => peer.state !== 'switchover',
    );
  } else {
    peer.assumeAnswer();
  }
  context.pageChannels.rest();
  downtime.mark('load');
  return promised;
}

/** Tells which pages come when the guest runs at the destination: all that are dirty now. */
function promisePages({ machine, peer, record }: OutgoingContext): PromisedPages {
  const promised = new PromisedPages(machine.memory);
  record.remainingPages = promised.count;
  for (const block of machine.memory.blocks) {
    if (block.countDirty() === 0) continue;
    const { index, pageCount } = block.layout;
    peer.post('MISSING_MAP', encodePageMap(promised.bitmapOf(block), pageCount), index);
  }
  return promised;
}

/** How long what is under way may take: the answer comes behind it. */
function drainMs({ frames, meter }: OutgoingContext): number {
  return frames.inFlightBytes / (meter.bytesPerMs ?? UNMEASURED_BYTES_PER_MS);
}

/** The guest stands still, so this sees every store that it ever made. */
async function finalSync(context: OutgoingContext): Promise<void> {
  const { machine, record, parameters } = context;
  if (parameters.mode === 'stop') {
    record.remainingPages = await markEverythingDirty(context);
  } else {
    await machine.flipDirtyLogs();
    record.remainingPages += machine.memory.mergeRetiredLogs();
  }
  record.dirtySyncCount += 1;
}

function sendStopped(context: OutgoingContext): void {
  const { machine, record, clock, meter, peer } = context;
  // Without a measured offset the destination cannot compare the clocks; NaN says so.
  const offset = meter.clockOffset;
  const lastStepMs = machine
    .heartbeats()
    .map((beat) => beat.lastStepMs + (offset?.ms ?? Number.NaN));
  record.guestDowntimeErrorUs = offset === undefined ? undefined : offset.errorMs * 1000;
  peer.post(
    'STOPPED',
    encodeStopped({ pass: record.dirtySyncCount, lastStepMs, pausedAtMs: clock.nowMs() }),
  );
}

async function sendLastPages(context: OutgoingContext): Promise<void> {
  const { record, pageSender, peer, capabilities, parameters, clock, pageChannels } = context;
  const pass = record.dirtySyncCount;
  const dirtyPages = record.remainingPages;
  const { totals } = record.beginPass(pass, true, dirtyPages, clock.nowMs());
  peer.post('PASS_BEGIN', encodePassBegin({ pass, dirtyPages }));
  pageChannels.beginLastPages(dirtyPages);
  if (parameters.mode === 'stop') await pageSender.sendEmptyRuns(totals);
  // Nothing is sent after these pages, so the cache is only read.
  const encode = capabilities.xbzrle && parameters.mode !== 'stop';
  if (dirtyPages > 0)
    await pageSender.sendDirty(
      totals,
      { encode, keep: false, age: pass + 1, limited: false },
      (pages) => {
        record.remainingPages -= pages;
      },
    );
  record.endPass(clock.nowMs());
}
