import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseTcpAddress } from '../../../src/channel/index.ts';
import { AgentProcess } from '../../../src/experiments/index.ts';
import { FaultyProxy } from '../../support/faulty-proxy.ts';
import type { ProxyFaults } from '../../support/proxy-direction.ts';
import { FrameLink, type Judge } from './frame-link.ts';
import { Site } from './site.ts';
import { type GuestWishes, type TestGuest, WORKLOAD } from './test-guest.ts';

export interface GuestArguments extends GuestWishes {
  readonly more?: readonly string[];
  /** Where the process dies. */
  readonly fault?: string;
}

/** What no agent may ever log, whatever its peer does. */
const DISASTER = /crashed|Internal error|AssertionError|Unhandled|"level":60/;

/**
 * Agents and links of one test, in a folder of their own. `end()` looks whether an agent has
 * crashed.
 */
export class Stage {
  readonly guest: TestGuest;
  readonly directory = mkdtempSync(join(tmpdir(), 'sterna-migration-'));
  private readonly agents = new Map<AgentProcess, string>();
  private readonly sites: Site[] = [];
  private readonly cleanups: (() => Promise<void>)[] = [];
  private readonly disasters: string[] = [];

  constructor(guest: TestGuest = WORKLOAD) {
    this.guest = guest;
  }

  source(name: string, wishes: GuestArguments = {}): Promise<Site> {
    const { more = [], fault } = wishes;
    return this.start('source', name, [...this.guest.sourceArguments(wishes), ...more], fault);
  }

  /** A source in the place of one that was lost, with the pages that it kept. */
  sourceOfSpill(name: string, file: string, fault?: string): Promise<Site> {
    return this.start('source', name, ['--resume-spill', file], fault);
  }

  /** That agent ends by itself, by its fault. */
  async dies({ agent, qmp }: Site): Promise<void> {
    this.agents.delete(agent);
    expect(await agent.exited).toMatchObject({ signal: 'SIGKILL' });
    await qmp.closed;
  }

  destination(name: string, more: readonly string[] = [], fault?: string): Promise<Site> {
    const listen = more.includes('--listen') ? [] : ['--listen', 'tcp:127.0.0.1:0'];
    return this.start('destination', name, [...listen, ...more], fault);
  }

  /** A link that counts and damages bytes. */
  async proxy(
    uri: string,
    faults: { toTarget?: ProxyFaults; toClient?: ProxyFaults } = {},
  ): Promise<{ readonly proxy: FaultyProxy; readonly uri: string }> {
    const proxy = await FaultyProxy.start({ target: parseTcpAddress(uri), ...faults });
    this.atEnd(() => proxy.close());
    return { proxy, uri: `tcp:127.0.0.1:${proxy.address.port}` };
  }

  /** A link that understands the protocol and decides on each frame. */
  async link(uri: string, judge: Judge): Promise<FrameLink> {
    const link = await FrameLink.start(uri, judge);
    this.atEnd(() => link.close());
    return link;
  }

  /** Links and ports of a test are closed after its agents. */
  atEnd(cleanUp: () => Promise<void>): void {
    this.cleanups.push(cleanUp);
  }

  /** For names that no other agent of the stage has. */
  get siteCount(): number {
    return this.sites.length;
  }

  stateDirectory(name: string): string {
    return join(this.directory, name);
  }

  /** As a crash of that agent, which `end()` then does not complain about. */
  async kill({ agent, qmp }: Site): Promise<void> {
    this.agents.delete(agent);
    await agent.kill();
    await qmp.closed;
  }

  /** An orderly end of one agent. */
  async stop({ agent, qmp, name }: Site): Promise<void> {
    this.agents.delete(agent);
    expect({ name, ...(await agent.stop()) }).toEqual({ name, code: 0, signal: null });
    await qmp.closed;
  }

  /** The last lines of every log, for the report of a test that failed. */
  logs(): string {
    return this.sites
      .map(({ name, agent }) => [`--- log of ${name}`, ...agent.logLines].join('\n'))
      .join('\n');
  }

  async end(): Promise<void> {
    for (const site of this.sites) site.qmp.close();
    const exits = [...this.agents].map(async ([agent, name]) => ({
      name,
      ...(await agent.stop()),
    }));
    const ended = await Promise.all(exits);
    await Promise.all(this.cleanups.map((cleanUp) => cleanUp()));
    rmSync(this.directory, { recursive: true, force: true });
    expect(this.disasters).toEqual([]);
    expect(ended).toEqual(ended.map(({ name }) => ({ name, code: 0, signal: null })));
  }

  private async start(
    role: 'source' | 'destination',
    name: string,
    more: readonly string[],
    fault?: string,
  ): Promise<Site> {
    const { PATH = '', HOME = '' } = process.env;
    const environment =
      fault === undefined ? {} : { environment: { PATH, HOME, STERNA_FAULT: fault } };
    const state = more.includes('--state-dir') ? [] : ['--state-dir', this.stateDirectory(name)];
    const consoleFile = join(this.directory, `${name}-${this.sites.length}.console`);
    const agent = await AgentProcess.start({
      role,
      arguments: ['--name', name, ...state, ...this.guest.hostArguments(consoleFile), ...more],
      ...environment,
      onLog: (line) => {
        if (DISASTER.test(line)) this.disasters.push(`${name}: ${line}`);
      },
    });
    this.agents.set(agent, name);
    const { guest } = this;
    const site = await Site.of(
      { name, agent, guest, consoleFile },
      more.includes('--resume-spill') || more.some((argument) => argument.startsWith('file:')),
    );
    this.sites.push(site);
    return site;
  }
}

/** Where a destination listens. */
export function listenUri({ agent }: Site): string {
  const { listen } = agent.ready;
  expect(listen).not.toBeNull();
  return String(listen);
}
