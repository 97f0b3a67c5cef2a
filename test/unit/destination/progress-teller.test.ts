import { expect, test } from 'vitest';
import type { Clock } from '../../../src/base/index.ts';
import type { IncomingLink } from '../../../src/destination/incoming-link.ts';
import { ProgressTeller } from '../../../src/destination/progress-teller.ts';
import { decodeProgress } from '../../../src/protocol/index.ts';

const KIB = 2 ** 10;

/** A link that counts, and keeps what it was told. */
class CountingLink {
  readonly channel = { receivedBytes: 0 };
  readonly told: number[] = [];
  isOpen = true;

  get receivedBytes(): number {
    return this.channel.receivedBytes;
  }

  maySend(): boolean {
    return this.isOpen;
  }

  send(_name: string, body: Uint8Array): void {
    const decoded = decodeProgress(body);
    if (decoded.kind === 'malformed') throw decoded.error;
    this.told.push(decoded.body.receivedBytes);
  }
}

function stage() {
  const state = { link: new CountingLink(), nowMs: 0 };
  let turns: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => state.nowMs,
    sleep: () => Promise.resolve(),
    yieldToLoop: () => new Promise((resolve) => turns.push(resolve)),
    every: () => () => {},
  };
  const teller = new ProgressTeller(
    clock,
    () => state.link as unknown as IncomingLink,
    () => 7,
  );
  return {
    state,
    teller,
    frame(bytes: number): void {
      state.link.channel.receivedBytes += bytes;
      teller.acknowledge();
    },
    async nextTurn(): Promise<void> {
      const before = turns;
      turns = [];
      for (const turn of before) turn();
      await Promise.resolve();
    },
  };
}

test('ProgressTeller.acknowledge() answers frames that came together once, when the turn ends', async () => {
  const { state, frame, nextTurn } = stage();
  frame(64 * KIB);
  frame(64 * KIB);
  expect(state.link.told).toEqual([]);
  await nextTurn();
  expect(state.link.told).toEqual([128 * KIB]);
  await nextTurn();
  expect(state.link.told).toHaveLength(1);
});

test('ProgressTeller.acknowledge() does not wait for the end of a turn that brings much', async () => {
  const { state, frame, nextTurn } = stage();
  for (let frames = 0; frames < 5; frames += 1) frame(256 * KIB);
  expect(state.link.told).toEqual([512 * KIB, 1024 * KIB]);
  await nextTurn();
  expect(state.link.told.at(-1)).toBe(1280 * KIB);
});

test('ProgressTeller.acknowledge() leaves single pages untold, and less than 8 KiB of them', async () => {
  const { state, frame, nextTurn } = stage();
  for (let pages = 0; pages < 1; pages += 1) {
    frame(4200);
    await nextTurn();
  }
  expect(state.link.told).toEqual([]);
  frame(4200);
  await nextTurn();
  expect(state.link.told).toEqual([8400]);
});

test('ProgressTeller.acknowledge() tells what was applied, not what has come of the next frame', async () => {
  const { state, frame, nextTurn } = stage();
  frame(20_000);
  state.link.channel.receivedBytes += 5000;
  await nextTurn();
  expect(state.link.told).toEqual([20_000]);
});

test('ProgressTeller.acknowledge() counts anew on a new connection', async () => {
  const { state, frame, nextTurn } = stage();
  frame(100 * KIB);
  await nextTurn();
  const old = state.link;
  frame(20 * KIB);
  state.link = new CountingLink();
  await nextTurn();
  expect([old.told, state.link.told]).toEqual([[100 * KIB], []]);
  frame(20 * KIB);
  await nextTurn();
  expect(state.link.told).toEqual([20 * KIB]);
});

test('ProgressTeller.acknowledge() says nothing on a connection that was lost meanwhile', async () => {
  const { state, frame, nextTurn } = stage();
  frame(100 * KIB);
  state.link.isOpen = false;
  await nextTurn();
  expect(state.link.told).toEqual([]);
});
