import { expect } from 'vitest';
import type { ErrorCode } from '../../../src/base/index.ts';
import { until } from '../../support/until.ts';
import type { MigrationReply, Site } from './site.ts';
import { type GuestArguments, Stage } from './stage.ts';
import type { TestGuest } from './test-guest.ts';

/** A lost link, as the side sees it that was in the middle of reading or of writing. */
export const LOST = ['E_CHANNEL_RESET', 'E_PROTOCOL_TRUNCATED'] as const;

export interface ExpectedFailure {
  readonly source: readonly ErrorCode[];
  /** Left out when the destination never hears of the attempt. */
  readonly destination?: readonly ErrorCode[];
  readonly status?: 'failed' | 'cancelled';
}

/**
 * A guest that goes back and forth between two agents. A test lets a crossing fail, looks at both
 * sides, and then crosses for certain, so that every fault is followed by a migration between the
 * very same processes.
 */
export class Crossing {
  readonly stage: Stage;
  /** Where the guest is. */
  here: Site;
  /** Where it goes. */
  there: Site;
  private readonly uris = new Map<Site, string>();

  private constructor(stage: Stage, here: Site, there: Site) {
    this.stage = stage;
    this.here = here;
    this.there = there;
    this.uris.set(there, String(there.agent.ready.listen));
  }

  static async start(guest?: TestGuest, wishes?: GuestArguments): Promise<Crossing> {
    const stage = new Stage(guest);
    const [here, there] = await Promise.all([
      stage.source('east', wishes),
      stage.destination('west'),
    ]);
    await stage.guest.isAtWork(here);
    return new Crossing(stage, here, there);
  }

  /** Where `there` listens, ready for a guest. */
  async uri(): Promise<string> {
    const { there } = this;
    // A former source listens as well from now on.
    await there.listen('tcp:127.0.0.1:0');
    const known = this.uris.get(there);
    if (known !== undefined) return known;
    const [address] = (await there.query())['socket-address'] ?? [];
    const uri = `tcp:${address?.host}:${address?.port}`;
    this.uris.set(there, uri);
    return uri;
  }

  /**
   * The guest moves, its RAM is compared, its program finds it whole, and the two sides change
   * places.
   */
  async succeeds(): Promise<MigrationReply> {
    const { here, there } = this;
    await until(`${there.name} has cleaned up`, async () => {
      await here.migrate(await this.uri());
      const { 'x-sterna': ours } = await here.over();
      // It has not noticed yet that the last attempt is over, and says that it is busy with it.
      return ours.error?.code === 'E_BUSY' ? undefined : true;
    });
    const reply = await here.proven();
    expect(reply['x-sterna'].verify.status).toBe('identical');
    expect(await here.isRunning()).toBe(false);
    await there.advances();
    await there.checkGuest();
    this.turn();
    return reply;
  }

  /** The guest has moved: the two sides change places. */
  turn(): void {
    [this.here, this.there] = [this.there, this.here];
  }

  /**
   * Migrates over `uri`, or waits for the attempt that runs already, and expects that it fails and
   * harms nobody.
   */
  async fails(expected: ExpectedFailure, uri?: string): Promise<MigrationReply> {
    const { here, there } = this;
    if (uri !== undefined) await here.migrate(uri);
    const reply = await here.over();
    expect(reply).toMatchObject({
      status: expected.status ?? 'failed',
      'error-desc': expect.stringMatching(/^[A-Z]/),
      'x-sterna': {
        owner: 'source',
        error: {
          code: oneOf(expected.source),
          message: expect.stringMatching(/^[A-Z]/),
          guestOwner: 'source',
          phase: expect.any(String),
          side: expect.stringMatching(/^(source|destination)$/),
          nextStep: expect.stringMatching(/\.$/),
        },
      },
    });
    if (expected.destination !== undefined) {
      const told = await there.migration(
        'a failed arrival',
        ({ status, 'x-sterna': ours }) =>
          (status === 'failed' || status === 'cancelled') && ours.side === 'destination',
      );
      expect(told['x-sterna'].error).toMatchObject({
        code: oneOf(expected.destination),
        guestOwner: 'source',
      });
      expect(told['x-sterna'].owner).toBe('source');
    }
    expect(await there.isRunning()).toBe(false);
    expect(await here.runState()).toEqual({ running: true, status: 'running' });
    await here.advances();
    await here.checkGuest();
    return reply;
  }
}

export function oneOf(codes: readonly ErrorCode[]): unknown {
  return expect.stringMatching(new RegExp(`^(${codes.join('|')})$`));
}

/**
 * Starts a crossing for the first test and another one after a test that failed: what it left
 * behind proves nothing.
 */
export class CrossingKeeper {
  private crossing: Promise<Crossing> | undefined;
  private readonly guest: TestGuest | undefined;
  private readonly wishes: GuestArguments | undefined;

  constructor(guest?: TestGuest, wishes?: GuestArguments) {
    this.guest = guest;
    this.wishes = wishes;
  }

  get(): Promise<Crossing> {
    this.crossing ??= Crossing.start(this.guest, this.wishes);
    return this.crossing;
  }

  async afterEach(state: string | undefined): Promise<void> {
    if (state !== 'fail') return;
    console.error((await this.get()).stage.logs());
    await this.end();
  }

  async end(): Promise<void> {
    const ending = this.crossing;
    this.crossing = undefined;
    await (await ending)?.stage.end();
  }
}
