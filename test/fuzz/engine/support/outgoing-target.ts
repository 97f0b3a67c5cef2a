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
import { decodeError, type MessageName } from '../../../../src/protocol/index.ts';
import { type MigrationOutcome, OutgoingMigration } from '../../../../src/source/index.ts';
import { CanaryAreas } from './canary-areas.ts';
import { bodyOf, nameOf } from './frames.ts';
import { letRun, smallGuest, UUID } from './honest-conversation.ts';
import { expectTyped } from './incoming-target.ts';
import { connect, type LinkOptions, RawPeer, WatchedChannel } from './raw-peer.ts';

const LIMIT_MS = 180_000;
const UNTAKEN_FRAMES_MAX = 256;

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

  constructor(parameters: Partial<MigrationParameters> = {}, options: LinkOptions = {}) {
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
      observer: { info: () => {} },
    });
    this.watchAnswers();
  }

  async run(): Promise<MigrationOutcome> {
    const { clock, machine } = this;
    const stop = letRun(machine, clock);
    await clock.advance(5);
    const limit = new AbortController();
    void clock.sleep(LIMIT_MS + 1, limit.signal);
    const outcome = await clock.runUntil(this.engine.run(), LIMIT_MS);
    limit.abort();
    const stepsAtEnd = machine.steps;
    await clock.advance(100);
    stop();
    this.check(outcome, machine.steps > stepsAtEnd);
    return outcome;
  }

  private check({ status, error }: MigrationOutcome, runs: boolean): void {
    expect(this.canaries.every((canary) => canary.areIntact)).toBe(true);
    expect(this.channel.untakenFramesMax).toBeLessThanOrEqual(UNTAKEN_FRAMES_MAX);
    expect(this.machine.problems()).toEqual([]);
    expect(this.machine.pagesThatDiffer(this.machine.memory)).toEqual([]);
    expect(runs).toBe(!this.machine.isPaused);
    const granted = this.channel.sentNames.includes('GRANT');
    const state = this.ledger.read(UUID)?.state;
    if (status === 'completed') {
      expect(granted && this.saidResumed).toBe(true);
      expect(runs).toBe(false);
      expect(state).toBe('granted');
      return;
    }
    expect(error).toBeDefined();
    if (error === undefined) return;
    expectTyped(error);
    const isUnknown = granted && error.guestOwner !== 'source';
    expect(error.guestOwner).toBe(isUnknown ? 'unknown' : 'source');
    expect(error.code === 'E_OWNERSHIP_UNKNOWN').toBe(isUnknown);
    expect(runs).toBe(!isUnknown);
    expect(state).toBe(isUnknown ? 'granting' : granted ? 'owner' : (state ?? undefined));
    if (!isUnknown) expect(['owner', undefined]).toContain(state);
    if (granted && !isUnknown) expect(this.saidNotHere).toBe(true);
  }

  private watchAnswers(): void {
    const { peer } = this;
    const send = peer.sendRaw.bind(peer);
    peer.sendRaw = (bytes) => {
      const name: MessageName | undefined = nameOf(bytes);
      if (name === 'RESUMED') this.saidResumed = true;
      if (name === 'ERROR') {
        const decoded = decodeError(bodyOf(bytes));
        if (decoded.kind === 'ok' && decoded.body.guestOwner === 'source') this.saidNotHere = true;
      }
      send(bytes);
    };
  }
}
