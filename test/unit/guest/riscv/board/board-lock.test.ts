import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { BoardLock } from '../../../../../src/guest/riscv/board/board-lock.ts';
import { BoardBlock } from '../../../../../src/guest/riscv/board/index.ts';
import { waitAsync } from '../../../../../src/guestmem/index.ts';

const TURNS = 200_000;
/** A word that nobody else uses, and that is changed without atomics. */
const COUNTER = 200;
/** Counts who is ready: both begin together. */
const READY = 201;

/** The same lock in another thread, from the build. */
const SOURCE = `
const { workerData } = require('node:worker_threads');
import(workerData.dist + '/board-lock.js').then(async ({ BoardLock }) => {
  const { BoardBlock } = await import(workerData.dist + '/board-block.js');
  const block = new BoardBlock(workerData.shared);
  const lock = new BoardLock(block);
  Atomics.add(block.atomics, ${READY}, 1);
  Atomics.notify(block.atomics, ${READY});
  for (let turn = 0; turn < workerData.turns; turn += 1) {
    lock.run(() => { block.words[${COUNTER}] += 1; });
  }
});`;

test('nobody is in the board beside another', async () => {
  const block = BoardBlock.allocate();
  const dist = new URL('../../../../../dist/guest/riscv/board', import.meta.url).href;
  const workerData = { shared: block.shared, turns: TURNS, dist };
  const worker = new Worker(SOURCE, { eval: true, workerData });
  const ended = new Promise<number>((resolve, reject) => {
    worker.on('exit', resolve);
    worker.on('error', reject);
  });
  // Pairs with the add and the notify of the worker.
  await waitAsync(block.atomics, READY, 0);
  const lock = new BoardLock(block);
  const add = () => {
    block.words[COUNTER] = (block.words[COUNTER] ?? 0) + 1;
  };
  for (let turn = 0; turn < TURNS; turn += 1) lock.run(add);
  expect(await ended).toBe(0);
  expect(block.words[COUNTER]).toBe(2 * TURNS);
});

test('what is thrown inside frees the lock', () => {
  const lock = new BoardLock(BoardBlock.allocate());
  expect(() =>
    lock.run(() => {
      throw new Error('inside');
    }),
  ).toThrow('inside');
  expect(lock.run(() => 1)).toBe(1);
});
