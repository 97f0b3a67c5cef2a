import { expect } from 'vitest';
import {
  defaultCapabilities,
  defaultParameters,
  type MigrationParameters,
  type OwnershipLedger,
  SimClock,
  silentLogger,
  volatileLedger,
} from '../../../../src/base/index.ts';
import type { SimMachine } from '../../../../src/guest/index.ts';
import { decodeError, decodeRecovery, type MessageName } from '../../../../src/protocol/index.ts';
import { type MigrationOutcome, OutgoingMigration } from '../../../../src/source/index.ts';
import { CanaryAreas } from './canary-areas.ts';
import { bodyOf, nameOf } from './frames.ts';
import { letRun, SECRET, smallGuest, UUID } from './honest-conversation.ts';
import { expectTyped } from './incoming-target.ts';
import { connect, type LinkOptions, RawPeer, WatchedChannel } from './raw-peer.ts';

const LIMIT_MS = 180_000;
const UNTAKEN_FRAMES_MAX = 256;
const LOOK_MS = 100;
/** The longest pause between two attempts to come back. */
const PAUSED_MS = 6_000;

/**
 * It has given the guest away, or may have, has pages that nobody else has, and waits to be told to
 * go on.
 */
interface PausedOutcome {
  readonly status: 'paused';
  readonly error?: undefined;
}

export type TargetOutcome = MigrationOutcome | PausedOutcome;

export interface TargetOptions extends LinkOptions {
  /** Speaks on each further connection that the source makes. */
  readonly joined?: (peer: RawPeer, connection: number) => void;
}

/** A real source with a hostile destination, and everything that must hold of it. */
export class OutgoingTarget {
  readonly clock = new SimClock();
  readonly peer: RawPeer;
  readonly channel: WatchedChannel;
  readonly machine: SimMachine;
  readonly engine: OutgoingMigration;
  private readonly ledger: OwnershipLedger = volatileLedger();
  private readonly canaries: readonly CanaryAreas[];
  /**
   * The peer has said that it has the guest, or that it does not: then the source may believe it.
   */
  private saidResumed = false;
  private saidNotHere = false;
  private saidLost = false;
  private connections = 0;

  constructor(parameters: Partial<MigrationParameters> = {}, options: TargetOptions = {}) {
    const { clock } = this;
    const connection = connect(clock, 'a', options);
    this.channel = new WatchedChannel(clock, connection, 'a');
    this.peer = new RawPeer(connection, 'b');
    this.machine = smallGuest(clock);
    this.canaries = this.machine.memory.blocks.map((block) => new CanaryAreas(block, 'source'));
    this.engine = new OutgoingMigration({
      machine: this.machine,
      channel: this.channel,
      clock,
      ledger: this.ledger,
      log: silentLogger(),
      migrationId: 'fuzz',
      peer: 'memory:b',
      parameters: {
        ...defaultParameters(),
        downtimeLimitMs: 1,
        timeoutMs: 25,
        timeoutAction: 'suspend',
        stallTimeoutMs: 2000,
        ...parameters,
      },
      capabilities: { ...defaultCapabilities(), xbzrle: true },
      secret: SECRET,
      ...(options.joined === undefined ? {} : { connect: () => this.connect(options) }),
      observer: { info: () => {} },
    });
    this.watchAnswersOf(this.peer);
  }

  async run(): Promise<TargetOutcome> {
    const { clock, machine } = this;
    const stop = letRun(machine, clock);
    await clock.advance(5);
    const limit = new AbortController();
    void clock.sleep(LIMIT_MS + 1, limit.signal);
    const over = Promise.race([this.engine.run(), this.paused(limit.signal)]);
    const outcome = await clock.runUntil(over, LIMIT_MS);
    limit.abort();
    const stepsAtEnd = machine.steps;
    await clock.advance(100);
    stop();
    this.check(outcome, machine.steps > stepsAtEnd);
    return outcome;
  }

  private async connect({ joined }: TargetOptions): Promise<WatchedChannel> {
    const { clock } = this;
    const connection = connect(clock, 'a', {});
    const peer = new RawPeer(connection, 'b');
    this.watchAnswersOf(peer);
    this.connections += 1;
    joined?.(peer, this.connections);
    return new WatchedChannel(clock, connection, 'a');
  }

  private async paused(signal: AbortSignal): Promise<PausedOutcome> {
    let sinceMs: number | undefined;
    while (!signal.aborted) {
      const nowMs = this.clock.nowMs();
      if (this.engine.info().status !== 'postcopy-paused') sinceMs = undefined;
      else sinceMs ??= nowMs;
      if (sinceMs !== undefined && nowMs - sinceMs > PAUSED_MS) break;
      await this.clock.sleep(LOOK_MS, signal);
    }
    return { status: 'paused' };
  }

  private check({ status, error }: TargetOutcome, runs: boolean): void {
    expect(this.canaries.every((canary) => canary.areIntact)).toBe(true);
    expect(this.channel.untakenFramesMax).toBeLessThanOrEqual(UNTAKEN_FRAMES_MAX);
    const held = this.machine.heldPages();
    expect(this.machine.problems(held)).toEqual([]);
    expect(this.machine.pagesThatDiffer(this.machine.memory, held)).toEqual([]);
    expect(runs).toBe(!this.machine.isPaused);
    const granted = this.channel.sentNames.includes('GRANT');
    const state = this.ledger.read(UUID)?.state;
    if (status === 'completed' || status === 'paused') {
      expect(granted).toBe(true);
      expect(runs).toBe(false);
      // In post-copy it asks on until it is told whose the guest is.
      const isKnown = status === 'completed' || this.engine.info().owner === 'destination';
      expect(state).toBe(isKnown ? 'granted' : 'granting');
      if (isKnown) expect(this.saidResumed).toBe(true);
      return;
    }
    expect(error).toBeDefined();
    if (error === undefined) return;
    expectTyped(error);
    const isUnknown = granted && error.guestOwner !== 'source';
    expect(error.guestOwner).toBe(isUnknown ? 'unknown' : 'source');
    const isLost = error.code === 'E_GUEST_LOST';
    if (isLost) expect(this.saidLost).toBe(true);
    expect(error.code === 'E_OWNERSHIP_UNKNOWN' || isLost).toBe(isUnknown);
    expect(runs).toBe(!isUnknown);
    if (isLost) return expect(state).toBe('lost');
    expect(state).toBe(isUnknown ? 'granting' : granted ? 'owner' : (state ?? undefined));
    if (!isUnknown) expect(['owner', undefined]).toContain(state);
    if (granted && !isUnknown) expect(this.saidNotHere).toBe(true);
  }

  private watchAnswersOf(peer: RawPeer): void {
    const send = peer.sendRaw.bind(peer);
    peer.sendRaw = (bytes) => {
      const name: MessageName | undefined = nameOf(bytes);
      if (name === 'RESUMED' || name === 'POSTCOPY_RESUMED') this.saidResumed = true;
      if (name === 'RECOVERY') {
        const decoded = decodeRecovery(bodyOf(bytes));
        const outcome = decoded.kind === 'ok' ? decoded.body.outcome : 'none';
        if (outcome === 'owner' || outcome === 'moved') this.saidResumed = true;
        if (outcome === 'abandoned') this.saidNotHere = true;
        if (outcome === 'lost') this.saidLost = true;
      }
      if (name === 'ERROR') {
        const decoded = decodeError(bodyOf(bytes));
        if (decoded.kind === 'ok' && decoded.body.guestOwner === 'source') this.saidNotHere = true;
      }
      send(bytes);
    };
  }
}
