import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FaultPoint, SternaError } from '../../../src/base/index.ts';
import { FileLedger } from '../../../src/control/index.ts';
import { AgentProcess } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';

/** A process dies at a named moment, as by `kill -9`, and starts again from its state directory. */

const UUID = '0f0e0d0c-0000-4000-8000-00000000fa11';
type Side = 'source' | 'destination';

describe('STERNA_FAULT', () => {
  let directory: string;
  let agents: AgentProcess[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sterna-fault-'));
    agents = [];
  });

  afterEach(async () => {
    await Promise.all(agents.map((agent) => agent.kill()));
    await rm(directory, { recursive: true, force: true });
  });

  async function start(role: Side, more: readonly string[] = [], fault?: FaultPoint) {
    const own =
      role === 'source'
        ? ['--ram', '16M', '--workload', 'memwrite,fill=4M,hot=1M,rate=500', '--uuid', UUID]
        : ['--listen', 'tcp:127.0.0.1:0'];
    const { PATH = '', HOME = '' } = process.env;
    const agent = await AgentProcess.start({
      role,
      arguments: ['--name', role, '--state-dir', join(directory, role), ...own, ...more],
      environment: { PATH, HOME, ...(fault === undefined ? {} : { STERNA_FAULT: fault }) },
    });
    agents.push(agent);
    return agent;
  }

  async function ask(agent: AgentProcess, command: string, values = {}): Promise<unknown> {
    const qmp = await agent.connect();
    try {
      return await qmp.execute(command, values);
    } finally {
      qmp.close();
    }
  }

  async function isRunning(agent: AgentProcess): Promise<boolean> {
    return ((await ask(agent, 'query-status')) as { running: boolean }).running;
  }

  function record(role: Side): string {
    const ledger = new FileLedger(join(directory, role));
    const known = ledger.read(UUID);
    ledger.close();
    return known === undefined ? 'nothing' : `${known.state} ${known.epoch}`;
  }

  /** Migrates until the side dies at its point. Resolves to the other one, which has noticed. */
  async function migrateInto(point: FaultPoint): Promise<AgentProcess> {
    const dying: Side = point.startsWith('source') ? 'source' : 'destination';
    const faultOf = (role: Side) => (role === dying ? point : undefined);
    const source = await start('source', [], faultOf('source'));
    const destination = await start('destination', [], faultOf('destination'));
    // So long a source that is in doubt tries to ask.
    await ask(source, 'migrate-set-parameters', { 'x-stall-timeout': 1000 });
    // The source may die before it answers.
    const asked = ask(source, 'migrate', { uri: destination.ready.listen });
    await asked.catch(() => {});
    const [dead, left] = dying === 'source' ? [source, destination] : [destination, source];
    expect(await dead.exited).toMatchObject({ signal: 'SIGKILL' });
    await until('the end of the migration', async () => {
      const reply = (await ask(left, 'query-migrate')) as { status?: string };
      return ['failed', 'completed'].includes(reply.status ?? '') || undefined;
    });
    return left;
  }

  async function refusal(work: Promise<unknown>): Promise<string> {
    const thrown = await work.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(SternaError);
    return JSON.stringify((thrown as SternaError).detail);
  }

  it('source.before-granting-recorded: the source builds its guest again', async () => {
    const destination = await migrateInto('source.before-granting-recorded');
    const source = await start('source');
    expect([await isRunning(source), await isRunning(destination)]).toEqual([true, false]);
    expect([record('source'), record('destination')]).toEqual(['owner 2', 'abandoned 2']);
  });

  it('source.after-granting-recorded: nobody runs until an operator decides', async () => {
    const destination = await migrateInto('source.after-granting-recorded');
    expect(await refusal(start('source'))).toContain('E_OWNERSHIP_UNKNOWN');
    expect(await isRunning(destination)).toBe(false);
    expect([record('source'), record('destination')]).toEqual(['granting 2', 'abandoned 2']);
    const source = await start('source', ['--take-ownership']);
    expect([await isRunning(source), await isRunning(destination)]).toEqual([true, false]);
    expect(record('source')).toBe('owner 3');
  });

  it.each<[FaultPoint, string]>([
    ['source.after-grant-sent', 'granting 2'],
    ['source.after-resumed', 'granting 2'],
    ['source.after-granted-recorded', 'granted 2'],
  ])('%s: the destination runs it, and the source does not start', async (point, left) => {
    const destination = await migrateInto(point);
    expect(await refusal(start('source'))).toMatch(/E_OWNERSHIP_UNKNOWN|E_STATE/);
    await until('the guest to run', async () => (await isRunning(destination)) || undefined);
    expect([record('source'), record('destination')]).toEqual([left, 'owner 2']);
  });

  it.each<[FaultPoint, string, string]>([
    ['destination.before-preparing', 'nothing', 'nothing'],
    ['destination.after-preparing', 'preparing 2', 'abandoned 2'],
  ])('%s: the source goes on', async (point, atDeath, after) => {
    const source = await migrateInto(point);
    expect(record('destination')).toBe(atDeath);
    const destination = await start('destination');
    expect([await isRunning(source), await isRunning(destination)]).toEqual([true, false]);
    expect([record('source'), record('destination')]).toEqual(['owner 1', after]);
  });

  it.each<[FaultPoint, string, string]>([
    ['destination.grant-received', 'preparing 2', 'abandoned 2'],
    ['destination.before-owner-recorded', 'preparing 2', 'abandoned 2'],
    ['destination.after-owner-recorded', 'owner 2', 'lost 2'],
  ])('%s: nobody runs until an operator decides', async (point, atDeath, after) => {
    const source = await migrateInto(point);
    expect(record('destination')).toBe(atDeath);
    const destination = await start('destination');
    expect([await isRunning(source), await isRunning(destination)]).toEqual([false, false]);
    expect([record('source'), record('destination')]).toEqual(['granting 2', after]);
    await ask(source, 'cont', { 'x-take-ownership': true });
    expect([await isRunning(source), await isRunning(destination)]).toEqual([true, false]);
    expect(record('source')).toBe('owner 3');
  });
});
