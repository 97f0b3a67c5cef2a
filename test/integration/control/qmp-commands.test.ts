import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentHarness, BUSY_GUEST, type Driven, type Fields } from './agent-harness.ts';

/** Every command on its own, and what it says to bad input. */

const UUID = '0f0e0d0c-0000-4000-8000-00000000000c';
const RAM_BYTES = 16 * 2 ** 20;

describe('QMP commands', () => {
  const harness = new AgentHarness();
  let source: Driven;
  let destination: Driven;

  beforeAll(async () => {
    source = await harness.source('source', { ...BUSY_GUEST, uuid: UUID });
    destination = await harness.destination('destination');
  });

  afterAll(() => harness.end());

  const run = (command: string, values?: Fields) => source.qmp.execute(command, values);
  const runThere = (command: string, values?: Fields) => destination.qmp.execute(command, values);

  it('query-version says what QEMU it speaks like, and what it is', async () => {
    expect(await run('query-version')).toEqual({
      qemu: { major: 10, minor: 2, micro: 2 },
      package: expect.stringContaining('sterna'),
    });
  });

  it('query-commands lists every command, and each of them is there', async () => {
    const commands = (await run('query-commands')) as { name: string }[];
    const names = commands.map(({ name }) => name);
    for (const name of [
      'query-version query-status stop cont quit migrate migrate-incoming migrate_cancel query-migrate',
      'migrate-set-capabilities query-migrate-capabilities migrate-set-parameters query-migrate-parameters',
      'pmemsave query-commands query-uuid query-name query-cpus-fast qmp_capabilities x-check-guest x-guest-info',
    ].flatMap((line) => line.split(' '))) {
      expect(names).toContain(name);
      const refused = run(name, { nonsense: 1 });
      await expect(refused).rejects.not.toThrow('has not been found');
    }
  });

  it('query-name and query-uuid tell the identity', async () => {
    expect(await run('query-name')).toEqual({ name: 'source' });
    expect(await run('query-uuid')).toEqual({ UUID });
    expect(await runThere('query-uuid')).toEqual({ UUID: '00000000-0000-0000-0000-000000000000' });
  });

  it('query-cpus-fast has an entry for each vCPU', async () => {
    const [first, ...others] = (await run('query-cpus-fast')) as Fields[];
    expect(others).toHaveLength(1);
    expect(first).toEqual({
      'cpu-index': 0,
      'qom-path': '/machine/unattached/device[0]',
      'thread-id': expect.any(Number),
      target: 'workload',
    });
    expect(await runThere('query-cpus-fast')).toEqual([]);
  });

  it('stop and cont change the run state, and can be repeated', async () => {
    for (const [command, running, status] of [
      ['stop', false, 'paused'],
      ['stop', false, 'paused'],
      ['cont', true, 'running'],
      ['cont', true, 'running'],
    ] as const) {
      expect(await run(command)).toEqual({});
      expect(await run('query-status')).toEqual({ running, status });
    }
    expect(source.events.map(({ event }) => event)).toEqual(['STOP', 'RESUME']);
  });

  it('query-status says inmigrate when the guest has not come', async () => {
    expect(await runThere('query-status')).toEqual({ running: false, status: 'inmigrate' });
  });

  it('x-check-guest looks at a paused guest, and refuses while it runs', async () => {
    await expect(run('x-check-guest')).rejects.toMatchObject({ sternaError: { code: 'E_STATE' } });
    await run('stop');
    expect(await run('x-check-guest')).toMatchObject({ ok: true, pages: RAM_BYTES / 4096 });
    await run('cont');
    await expect(runThere('x-check-guest')).rejects.toThrow('There is no guest here');
  });

  it('x-guest-info tells what the guest does', async () => {
    expect(await run('x-guest-info')).toMatchObject({
      uuid: UUID,
      workload: expect.stringContaining('memwrite'),
      'ram-bytes': RAM_BYTES,
      'busy-ms': [expect.any(Number), expect.any(Number)],
      heartbeats: [{ vcpu: 0 }, { vcpu: 1 }],
    });
  });

  describe('migrate-set-parameters', () => {
    it('has the defaults of QEMU at first', async () => {
      expect(await run('query-migrate-parameters')).toMatchObject({
        'max-bandwidth': 134217728,
        'downtime-limit': 300,
        'avail-switchover-bandwidth': 0,
        'xbzrle-cache-size': 67108864,
        'x-mode': 'precopy',
      });
    });

    it('changes what is given and nothing else', async () => {
      const before = (await run('query-migrate-parameters')) as Fields;
      await run('migrate-set-parameters', { 'downtime-limit': 5, 'x-mode': 'stop' });
      const after = await run('query-migrate-parameters');
      expect(after).toEqual({ ...before, 'downtime-limit': 5, 'x-mode': 'stop' });
      await run('migrate-set-parameters', { 'downtime-limit': 300, 'x-mode': 'precopy' });
    });

    it.each([
      [{ 'downtime-limit': 2_000_001 }, 'from 0 to 2000000 ms'],
      [{ 'downtime-limit': -1 }, 'from 0 to 2000000 ms'],
      [{ 'downtime-limit': 1.5 }, "Invalid parameter type for 'downtime-limit', expected: integer"],
      [{ 'downtime-limit': '1' }, "Invalid parameter type for 'downtime-limit', expected: integer"],
      [{ 'max-bandwidth': 1e300 }, "Parameter 'max-bandwidth' expects"],
      [{ 'xbzrle-cache-size': 5000 }, 'a power of two'],
      [{ 'x-mode': 'lazy' }, 'expects one of precopy, stop, postcopy, hybrid'],
      [{ 'x-mode': 1 }, "Invalid parameter type for 'x-mode', expected: string"],
      [{ 'no-such': 1 }, "Parameter 'no-such' is unexpected"],
    ])('refuses %j', async (values, reason) => {
      const before = await run('query-migrate-parameters');
      const refused = run('migrate-set-parameters', { 'x-timeout': 77, ...values });
      await expect(refused).rejects.toMatchObject({
        class: 'GenericError',
        desc: expect.stringContaining(reason),
        sternaError: { code: 'E_CONFIG_INVALID' },
      });
      expect(await run('query-migrate-parameters')).toEqual(before);
    });
  });

  describe('migrate-set-capabilities', () => {
    it('switches what is given', async () => {
      const set = (state: boolean) =>
        run('migrate-set-capabilities', { capabilities: [{ capability: 'xbzrle', state }] });
      await set(true);
      expect(await run('query-migrate-capabilities')).toContainEqual({
        capability: 'xbzrle',
        state: true,
      });
      await set(false);
      expect(await run('query-migrate-capabilities')).toEqual([
        { capability: 'xbzrle', state: false },
        { capability: 'auto-converge', state: false },
        { capability: 'dirty-limit', state: false },
        { capability: 'events', state: true },
        { capability: 'validate-uuid', state: false },
        { capability: 'return-path', state: true },
        { capability: 'postcopy-ram', state: false },
        { capability: 'postcopy-preempt', state: false },
        { capability: 'multifd', state: false },
        { capability: 'x-postcopy-journal', state: false },
        { capability: 'postcopy-blocktime', state: true },
      ]);
    });

    it('takes postcopy-preempt only with postcopy-ram', async () => {
      const set = (states: Readonly<Record<string, boolean>>) => {
        const entries = Object.entries(states);
        const capabilities = entries.map(([capability, state]) => ({ capability, state }));
        return run('migrate-set-capabilities', { capabilities });
      };
      const requires = { desc: 'Postcopy preempt requires postcopy-ram' };
      await expect(set({ 'postcopy-preempt': true })).rejects.toMatchObject(requires);
      await set({ 'postcopy-ram': true, 'postcopy-preempt': true });
      await expect(set({ 'postcopy-ram': false })).rejects.toMatchObject(requires);
      await set({ 'postcopy-ram': false, 'postcopy-preempt': false });
    });

    it.each([
      [{}, "Parameter 'capabilities' is missing"],
      [{ capabilities: 1 }, "Invalid parameter type for 'capabilities', expected: array"],
      [{ capabilities: [1] }, "Invalid parameter type for 'capabilities[0]', expected: object"],
      [
        { capabilities: [{ capability: 'xbzrle' }] },
        "Parameter 'capabilities[0].state' is missing",
      ],
      [{ capabilities: [{ capability: 'rdma', state: true }] }, "does not accept value 'rdma'"],
      [
        { capabilities: [{ capability: 'toString', state: true }] },
        "does not accept value 'toString'",
      ],
      [
        { capabilities: [{ capability: 'return-path', state: false }] },
        "'return-path' is always on",
      ],
    ])('refuses %j', async (values, reason) => {
      await expect(run('migrate-set-capabilities', values)).rejects.toThrow(reason);
    });
  });

  describe('migrate', () => {
    it.each([
      [{}, "needs either 'uri' or 'channels'"],
      [{ uri: 1 }, "Invalid parameter type for 'uri', expected: string"],
      [{ uri: 'tcp:nowhere' }, 'the port is missing'],
      [{ uri: 'tcp:h:1', resume: true }, 'Cannot resume'],
      [{ uri: 'tcp:h:1', blk: true }, "Parameter 'blk' is unexpected"],
    ])('refuses %j', async (values, reason) => {
      await expect(run('migrate', values)).rejects.toThrow(reason);
      expect(await run('query-migrate')).toEqual({});
    });

    it('is refused where there is no guest', async () => {
      await expect(runThere('migrate', { uri: 'tcp:127.0.0.1:1' })).rejects.toMatchObject({
        desc: 'There is no guest here to migrate',
        sternaError: { code: 'E_STATE' },
      });
    });

    it('migrate-incoming is refused where there is a guest, or a listener', async () => {
      const values = { uri: 'tcp:127.0.0.1:0' };
      await expect(run('migrate-incoming', values)).rejects.toThrow(
        'There is a guest here already',
      );
      await expect(runThere('migrate-incoming', values)).rejects.toThrow(
        'listens for a guest already',
      );
    });

    it('migrate_cancel is fine when nothing runs', async () => {
      expect(await run('migrate_cancel')).toEqual({});
    });
  });

  describe('pmemsave', () => {
    it('writes a range of RAM for its owner only', async () => {
      await run('stop');
      const whole = join(harness.directory, 'whole');
      const part = join(harness.directory, 'part');
      await run('pmemsave', { val: 0, size: RAM_BYTES, filename: whole });
      await run('pmemsave', { val: 4095, size: 3 * 2 ** 20 + 1, filename: part });
      await run('cont');
      const bytes = readFileSync(whole);
      expect(bytes).toHaveLength(RAM_BYTES);
      // The guest has filled its first 8 MiB with noise, and nothing behind.
      expect(bytes.subarray(0, 4096).equals(Buffer.alloc(4096))).toBe(false);
      expect(bytes.subarray(12 * 2 ** 20).equals(Buffer.alloc(4 * 2 ** 20))).toBe(true);
      expect(readFileSync(part).equals(bytes.subarray(4095, 4096 + 3 * 2 ** 20))).toBe(true);
      expect(statSync(whole).mode & 0o777).toBe(0o600);
    });

    it.each([
      [{ val: 0, size: RAM_BYTES + 1 }],
      [{ val: RAM_BYTES, size: 1 }],
      [{ val: -1, size: 1 }],
      [{ val: 0, size: -1 }],
      [{ val: 1e300, size: 1 }],
    ])('refuses the range %j', async (range) => {
      const filename = join(harness.directory, 'refused');
      await expect(run('pmemsave', { ...range, filename })).rejects.toThrow('Invalid addr');
    });

    it('says why when the file cannot be written', async () => {
      const filename = join(harness.directory, 'no', 'such', 'folder');
      const failed = run('pmemsave', { val: 0, size: 4096, filename });
      await expect(failed).rejects.toMatchObject({
        desc: expect.stringContaining('ENOENT'),
        sternaError: { code: 'E_FILE' },
      });
      const full = run('pmemsave', { val: 0, size: 4096, filename: '/dev/full' });
      await expect(full).rejects.toMatchObject({ desc: expect.stringContaining('ENOSPC') });
    });
  });

  it('startAgent() refuses a bad machine and a state directory that cannot be written', async () => {
    const machine = { ...BUSY_GUEST, workload: 'dance' };
    await expect(harness.start({ name: 'x', role: 'source', machine })).rejects.toMatchObject({
      code: 'E_CONFIG_INVALID',
      message: 'Unknown workload "dance"',
    });
    const stateDir = join(harness.directory, 'source');
    await expect(harness.start({ name: 'y', role: 'destination', stateDir })).rejects.toMatchObject(
      {
        code: 'E_STATE_DIRECTORY',
        message: `Process ${process.pid} uses this state directory`,
      },
    );
  });

  it('a directory of another mode is made private', async () => {
    const stateDir = join(harness.directory, 'open');
    mkdirSync(stateDir);
    chmodSync(stateDir, 0o755);
    await harness.start({ name: 'z', role: 'destination', stateDir });
    expect(statSync(stateDir).mode & 0o777).toBe(0o700);
  });
});
