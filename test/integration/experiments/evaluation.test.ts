import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { measureOverLink, parseRecords } from '../../../src/experiments/evaluation/index.ts';
import { kernelShapes } from '../../../src/experiments/measuring/index.ts';

const PROGRAM = fileURLToPath(
  new URL('../../../dist/experiments/evaluation/evaluation-main.js', import.meta.url),
);

function experiments(...args: readonly string[]) {
  return promisify(execFile)(process.execPath, [PROGRAM, ...args]);
}

test('a scenario runs against its baseline, and prints a line for each run', async () => {
  const { stdout, stderr } = await experiments('--smoke', 'pre-paging');
  const records = parseRecords(stdout);
  expect(records.map(({ variant }) => variant)).toEqual(['sequential', 'bubbling']);
  for (const { result } of records) {
    expect(result).toMatchObject({ status: 'completed', verify: 'identical' });
    expect(result).toHaveProperty('accesses');
  }
  expect(stderr).toMatch(/^10 pre-paging: faults over pages accessed .*; direction: /);
});

test('a migration runs over a link of the kernel, with a client, where there are such links', async () => {
  const spec = {
    ram: '16M',
    workload: 'stream,fill=4M,ring=1M,frame=16K,fps=50,change=10',
    linkBytesPerSecond: 12_500_000,
    client: { kind: 'stream', framesPerSecond: 50, bufferMs: 200 },
  } as const;
  const running = measureOverLink(spec);
  if (!kernelShapes()) {
    await expect(running).rejects.toMatchObject({ code: 'E_STATE' });
    return;
  }
  const figures = await running;
  expect(figures).toMatchObject({ status: 'completed', verify: 'identical' });
  expect(figures.client).toMatchObject({ lostFrames: 0, damagedFrames: 0 });
  // 4 MiB cannot pass in less; the buffers of a socket and of the queue may hold some of it back.
  expect(figures.totalMs).toBeGreaterThan(150);
});

test('what it does not know is refused before anything runs', async () => {
  await expect(experiments('no-such-scenario')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no-such-scenario'),
  });
  await expect(experiments('--repeat', '0')).rejects.toMatchObject({ code: 2 });
});
