import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { FaultPoint } from '../../../../src/base/index.ts';
import type { QmpClient } from '../../../../src/control/client/index.ts';
import { FileLedger } from '../../../../src/control/index.ts';
import { AgentProcess } from '../../../../src/experiments/index.ts';
import { until } from '../../../support/until.ts';
import { FrameLink, type Judge } from '../frame-link.ts';
import { type GuestPlace, type TestGuest, WORKLOAD } from '../test-guest.ts';

export type Side = 'source' | 'destination';

/** Small, and busy enough that pages are asked for in post-copy. */
const BUSY = { workload: 'memwrite,fill=4M,hot=2M,rate=4000,words=8,step=512' };
const UUID = '0f0e0d0c-0000-4000-8000-00000000fa11';
/** A link that is not back by then counts as lost, and nobody can be asked. */
const STALL_MS = 1500;

interface Reply {
  readonly status?: string;
  readonly 'x-sterna'?: { readonly owner: string };
}

/** A source and a destination whose processes die and start again from their state directories. */
export class KillSite {
  readonly guest: TestGuest;
  private readonly directory = mkdtempSync(join(tmpdir(), 'sterna-kill-'));
  private readonly agents = new Map<Side, AgentProcess>();
  private readonly clients = new Map<AgentProcess, QmpClient>();
  private readonly consoleFiles = new Map<AgentProcess, string>();
  private readonly all: AgentProcess[] = [];
  private port = 'tcp:127.0.0.1:0';
  private link: FrameLink | undefined;

  constructor(guest: TestGuest = WORKLOAD) {
    this.guest = guest;
  }

  /** Where a guest can be migrated to, or not be. */
  get file(): string {
    return join(this.directory, 'guest.sterna');
  }

  /** `fault`: where the process dies, as STERNA_FAULT has it. */
  async start(
    side: Side,
    fault?: string,
    more: readonly string[] = [],
    listen = this.port,
  ): Promise<void> {
    const begins = [...this.guest.sourceArguments(BUSY), '--uuid', UUID];
    const own = side === 'source' ? begins : ['--listen', listen];
    const consoleFile = join(this.directory, `${this.all.length}.console`);
    const host = this.guest.hostArguments(consoleFile);
    const { PATH = '', HOME = '' } = process.env;
    const agent = await AgentProcess.start({
      role: side,
      arguments: [
        '--name',
        side,
        '--state-dir',
        join(this.directory, side),
        ...own,
        ...host,
        ...more,
      ],
      environment: { PATH, HOME, ...(fault === undefined ? {} : { STERNA_FAULT: fault }) },
    });
    this.all.push(agent);
    this.agents.set(side, agent);
    this.consoleFiles.set(agent, consoleFile);
    if (agent.ready.listen !== null) this.port = agent.ready.listen;
  }

  /** Resolves when the migration was asked for, or its source has died over it. */
  async migrate(
    parameters: object,
    way: { readonly judge?: Judge | undefined; readonly uri?: string } = {},
  ): Promise<void> {
    const { judge } = way;
    if (judge !== undefined) this.link = await FrameLink.start(this.port, judge);
    const uri = way.uri ?? this.link?.uri ?? this.port;
    await this.ask('source', 'migrate-set-parameters', {
      'x-stall-timeout': STALL_MS,
      ...parameters,
    });
    await this.guest.isAtWork(this.place('source'));
    await this.ask('source', 'migrate', { uri }).catch(() => {});
  }

  /** That side as the guest's checks see it. */
  place(side: Side): GuestPlace {
    const agent = this.agents.get(side);
    const consoleFile = agent === undefined ? undefined : this.consoleFiles.get(agent);
    if (consoleFile === undefined) throw new Error(`There is no ${side}`);
    return { consoleFile, ask: (command) => this.ask(side, command) };
  }

  async hasDied(side: Side): Promise<void> {
    const agent = this.agents.get(side);
    expect(await agent?.exited).toMatchObject({ signal: 'SIGKILL' });
    this.agents.delete(side);
  }

  async ask(side: Side, command: string, values = {}): Promise<unknown> {
    const agent = this.agents.get(side);
    if (agent === undefined) throw new Error(`There is no ${side}`);
    let client = this.clients.get(agent);
    if (client === undefined) {
      client = await agent.connect();
      this.clients.set(agent, client);
    }
    return client.execute(command, values);
  }

  async isRunning(side: Side): Promise<boolean> {
    if (!this.agents.has(side)) return false;
    return ((await this.ask(side, 'query-status')) as { running: boolean }).running;
  }

  /** Who runs the guest now. */
  async runners(): Promise<Side[]> {
    const sides: readonly Side[] = ['source', 'destination'];
    const running = await Promise.all(sides.map((side) => this.isRunning(side)));
    return sides.filter((_, index) => running[index]);
  }

  async status(side: Side): Promise<string> {
    return ((await this.ask(side, 'query-migrate')) as Reply).status ?? 'none';
  }

  /** Resolves when its migration is over. */
  async settled(side: Side): Promise<void> {
    await until('the end of the migration', async () =>
      ['completed', 'failed'].includes(await this.status(side)) ? true : undefined,
    );
  }

  has(side: Side): boolean {
    return this.agents.has(side);
  }

  /** `owner 2`, or `nothing`. */
  record(side: Side): string {
    const ledger = new FileLedger(join(this.directory, side));
    const known = ledger.read(UUID);
    ledger.close();
    return known === undefined ? 'nothing' : `${known.state} ${known.epoch}`;
  }

  /** What every agent said last, for the report of a case that failed. */
  logs(): string {
    return this.all.map((agent) => agent.logLines.join('\n')).join('\n---\n');
  }

  async end(): Promise<void> {
    for (const client of this.clients.values()) client.close();
    await Promise.all(this.all.map((agent) => agent.kill()));
    await this.link?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The side that has a point. */
export function sideOf(point: FaultPoint): Side {
  return point.startsWith('source') ? 'source' : 'destination';
}
