import { expect, onTestFailed, onTestFinished } from 'vitest';
import type { MigrationMode } from '../../../src/base/index.ts';
import type { QmpClient } from '../../../src/control/client/index.ts';
import { LinuxPair } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';
import { FAILURES } from './debian-guest.ts';
import { hop, imageOrSkip, LINUX_LIMIT_MS, listens } from './linux-stage.ts';

export const MODES: readonly MigrationMode[] = ['precopy', 'postcopy', 'hybrid', 'stop'];

/** The time of a line of the kernel's log. */
const STAMP = /^\[ *(\d+\.\d{6})\] /gm;

interface End {
  readonly qmp: QmpClient;
  readonly line: LinuxPair['source'];
}

/** A Debian that goes back and forth between two processes, and what is asked of each hop. */
export class Shuttle {
  readonly pair: LinuxPair;
  /** Hops from the first process to the second, and from the second to the first. */
  readonly ways = { there: 0, back: 0 };
  /** How pages were sent, over all hops. */
  readonly pageKinds = new Set<string>();
  private here: End;
  private there: End;
  private uri: string;
  private back: string | undefined;
  /** In the order in which it came. */
  private readonly heard: readonly Buffer[];

  private constructor(pair: LinuxPair, heard: readonly Buffer[]) {
    const { sourceQmp, destinationQmp, uri } = pair.agents;
    this.pair = pair;
    this.heard = heard;
    this.here = { qmp: sourceQmp, line: pair.source };
    this.there = { qmp: destinationQmp, line: pair.destination };
    this.uri = uri;
  }

  /** `append`: of the kernel's command line. It ends with the test. */
  static async start(append: string, skip: (why: string) => void): Promise<Shuttle> {
    const image = await imageOrSkip(skip);
    const heard: Buffer[] = [];
    const onBytes = (bytes: Buffer) => void heard.push(bytes);
    const pair = await LinuxPair.start({ image, ram: '256M', append, onBytes });
    onTestFinished(() => pair.close());
    onTestFailed(() => {
      const { source, destination } = pair.agents;
      console.error([...source.logLines, '---', ...destination.logLines].join('\n'));
    });
    return new Shuttle(pair, heard);
  }

  get hops(): number {
    return this.ways.there + this.ways.back;
  }

  /**
   * What was printed on each side, and in turn: a line may begin on one side and end on the other,
   * and both be heard at once.
   */
  get printed(): string {
    const { source, destination } = this.pair;
    return [source.text, destination.text, Buffer.concat(this.heard).toString('latin1')].join('\n');
  }

  /** Whether it is at the second process. */
  get isAway(): boolean {
    return this.here.line === this.pair.destination;
  }

  /** Has both sides send differences and compressed pages, over several connections. */
  async enableEverything(): Promise<void> {
    const capabilities = ['xbzrle', 'multifd'].map((capability) => ({ capability, state: true }));
    for (const { qmp } of [this.here, this.there]) {
      await qmp.execute('migrate-set-capabilities', { capabilities });
      await qmp.execute('migrate-set-parameters', { 'x-codec': 'all' });
    }
  }

  /** Moves it to the other side: nothing fails, nothing differs, and no time is seen twice. */
  async hop(mode: MigrationMode, policy: string): Promise<void> {
    const { here, there } = this;
    const { status, 'error-desc': error, ...more } = await hop(here.qmp, this.uri, mode, policy);
    const what = { mode, policy, hop: this.hops + 1 };
    expect({ ...what, status, error, verify: more['x-sterna']?.verify?.status }).toEqual({
      ...{ ...what, status: 'completed', error: undefined, verify: 'identical' },
    });
    expect(await timeOf(there.qmp), JSON.stringify(what)).toBeGreaterThanOrEqual(
      await timeOf(here.qmp),
    );
    for (const [kind, { pages }] of Object.entries(more['x-sterna']?.['page-kinds'] ?? {})) {
      if (pages > 0) this.pageKinds.add(kind);
    }
    this.ways[this.isAway ? 'back' : 'there'] += 1;
    this.back ??= await listens(here.qmp);
    [this.here, this.there] = [there, here];
    [this.uri, this.back] = [this.back, this.uri];
  }

  /** Resolves when the guest has printed one more of these where it is now. */
  async goesOn(line: RegExp): Promise<void> {
    const count = () => this.here.line.text.split(line).length;
    const seen = count();
    await this.until(`the guest prints ${line} again`, () => count() > seen);
  }

  says(text: RegExp): Promise<void> {
    return this.until(`the guest prints ${text}`, () => text.test(this.printed));
  }

  type(text: string): void {
    this.here.line.type(text);
  }

  /** After its power-off: nothing complained, and the kernel's log never went back in time. */
  async expectSound(): Promise<void> {
    await this.says(/reboot: Power down/);
    expect(this.printed).not.toMatch(FAILURES);
    for (const { text } of [this.pair.source, this.pair.destination]) {
      const stamps = [...text.matchAll(STAMP)].map(([, seconds]) => Number(seconds));
      expect(stamps).toEqual([...stamps].sort((one, other) => one - other));
    }
  }

  private async until(what: string, holds: () => boolean): Promise<void> {
    await until(what, () => holds() || undefined, LINUX_LIMIT_MS);
  }
}

/** The guest's own time, which stands still where it is not any more. */
async function timeOf(qmp: QmpClient): Promise<number> {
  const report = (await qmp.execute('x-guest-info')) as { readonly 'guest-time-ms': number };
  return report['guest-time-ms'];
}
