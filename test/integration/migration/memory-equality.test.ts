import { describe, expect, it, onTestFinished } from 'vitest';
import {
  CONVERGES,
  expectAbSweep,
  expectEqualMemory,
  savedMemory,
  throughPasses,
} from './guest-memory-file.ts';
import type { MigrationReply, Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { RISCV_STORE, type TestGuest, WORKLOAD } from './test-guest.ts';

/**
 * The RAM that arrived is the RAM that was sent: compared byte by byte, and by nothing of the
 * engine.
 */

const MIB = 2 ** 20;
const RAM_BYTES = 16 * MIB;

interface Case {
  readonly name: string;
  /** Else the workload. */
  readonly guest?: TestGuest;
  readonly workload: string;
  readonly vcpus?: number;
  readonly xbzrle?: true;
  readonly mode?: 'stop';
  readonly parameters?: Readonly<Record<string, unknown>>;
}

const HOT = 'hot=3M,rate=30000,words=8,step=512';

const CASES: readonly Case[] = [
  { name: 'memwrite in page order', workload: `memwrite,fill=8M,${HOT}` },
  {
    name: 'memwrite at random on 5 vCPUs',
    workload: `memwrite,fill=8M,${HOT},pattern=random`,
    vcpus: 5,
  },
  { name: 'memwrite with XBZRLE', workload: `memwrite,fill=8M,${HOT}`, xbzrle: true },
  {
    name: 'memwrite by Zipf with a small XBZRLE cache',
    workload: `memwrite,fill=8M,${HOT},pattern=zipf,read=30`,
    xbzrle: true,
    vcpus: 2,
    parameters: { 'xbzrle-cache-size': MIB },
  },
  {
    name: 'memwrite by Zipf, ascending, with a direct-mapped cache',
    workload: `memwrite,fill=8M,${HOT},pattern=zipf`,
    xbzrle: true,
    vcpus: 2,
    parameters: { 'x-reorder': 'off', 'x-xbzrle-cache-ways': '1', 'xbzrle-cache-size': MIB },
  },
  { name: 'ab', workload: 'ab', vcpus: 1 },
  { name: 'ab with XBZRLE on 2 vCPUs', workload: 'ab', vcpus: 2, xbzrle: true },
  { name: 'idle', workload: 'idle,fill=5M' },
  {
    name: 'text and its deltas as LZ4',
    workload: `memwrite,fill=8M,hot=3M,rate=30000,words=64,step=64,content=text`,
    xbzrle: true,
    parameters: { 'x-codec': 'all' },
  },
  {
    name: 'text as LZ4, cold',
    workload: 'idle,fill=8M,content=text',
    mode: 'stop',
    parameters: { 'x-codec': 'lz4' },
  },
  {
    name: 'text and noise in turns, much of each page changed',
    workload: 'memwrite,fill=8M,hot=3M,rate=30000,words=500,step=8,content=mixed',
    xbzrle: true,
    parameters: { 'x-codec': 'all' },
  },
  { name: 'a RISC-V computer', guest: RISCV_STORE, workload: '' },
  { name: 'a RISC-V computer, cold', guest: RISCV_STORE, workload: '', mode: 'stop' },
  { name: 'memwrite, cold', workload: `memwrite,fill=8M,${HOT}`, vcpus: 2, mode: 'stop' },
];

describe('memory after a migration', () => {
  it.each(CASES.filter(({ guest }) => !guest?.isMissing))(
    'is the same on both sides, byte by byte: $name',
    async (run) => {
      const { workload, vcpus = 1, guest = WORKLOAD } = run;
      const stage = new Stage(guest);
      onTestFinished(() => stage.end());
      const [source, destination] = await Promise.all([
        stage.source('source', { workload, vcpus }),
        stage.destination('destination', ['--paused']),
      ]);
      await source.set({ 'x-verify': 'off', ...run.parameters });
      if (run.xbzrle) await source.enable('xbzrle');
      await move(source, listenUri(destination), run);
      const reply = await source.proven();
      expectTelling(reply, run);

      const [sent, arrived] = await Promise.all([
        savedMemory(source, stage.stateDirectory('sent.bin'), RAM_BYTES),
        savedMemory(destination, stage.stateDirectory('arrived.bin'), RAM_BYTES),
      ]);
      expectEqualMemory(arrived, sent);
      expect(arrived.some((byte) => byte !== 0)).toBe(true);
      if (workload === 'ab') expectAbSweep(arrived, vcpus);

      expect(await destination.runState()).toEqual({ running: false, status: 'paused' });
      await destination.checkGuest();
      await destination.qmp.execute('cont');
      await destination.advances(100);
      await destination.qmp.execute('stop');
      // It really ran, and really stands still again.
      const save = (name: string) =>
        savedMemory(destination, stage.stateDirectory(name), RAM_BYTES);
      const stopped = await save('stopped.bin');
      expect(stopped.equals(arrived)).toBe(workload.startsWith('idle'));
      expectEqualMemory(await save('later.bin'), stopped);
      if (workload === 'ab') expectAbSweep(stopped, vcpus);
      await destination.checkGuest();
    },
  );
});

async function move(source: Site, uri: string, { workload, mode }: Case): Promise<void> {
  if (mode === 'stop') {
    await source.set({ 'x-mode': 'stop' });
    return source.migrate(uri);
  }
  // A guest that writes nothing has nothing for a second pass.
  if (!workload.startsWith('idle')) return throughPasses(source, uri, 3);
  await source.set(CONVERGES);
  return source.migrate(uri);
}

/**
 * That the migration did what the case is about: a comparison after a single pass would prove
 * little.
 */
function expectTelling(reply: MigrationReply, run: Case): void {
  const { workload, mode, xbzrle, parameters } = run;
  const { passes, verify, 'page-kinds': kinds } = reply['x-sterna'];
  expect(verify.status).toBe('skipped');
  expect(passes.at(-1)?.stopped).toBe(true);
  if (mode === 'stop') expect(passes).toHaveLength(1);
  else if (!workload.startsWith('idle')) expect(passes.length).toBeGreaterThanOrEqual(4);
  if (xbzrle) expect(kinds.xbzrle?.pages).toBeGreaterThan(100);
  else expect(kinds.xbzrle?.pages).toBe(0);
  if (parameters?.['x-codec'] === undefined) expect(kinds.lz4?.pages).toBe(0);
  else expect(kinds.lz4?.pages).toBeGreaterThan(700);
}
