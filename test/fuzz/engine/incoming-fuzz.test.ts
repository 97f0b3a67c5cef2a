import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { FUZZ_RUNS, fuzzSettings } from '../fuzz-settings.ts';
import { deviate, deviations, type PlacedDeviation } from './support/deviations.ts';
import { type Conversation, honestConversation } from './support/honest-conversation.ts';
import { hostileFrames } from './support/hostile-frames.ts';
import { IncomingTarget } from './support/incoming-target.ts';

/** A machine of 16 MiB is built in most runs. */
const RUNS = FUZZ_RUNS / 12;
/** Building, loading and recording take a moment, and the source waits for the answers. */
const TURN_MS = 2;

const captures: Conversation[] = [];
const pool: Uint8Array[] = [];

beforeAll(async () => {
  captures.push(
    await honestConversation('precopy', 'after'),
    await honestConversation('precopy', 'strict'),
    await honestConversation('stop', 'off'),
    await honestConversation('postcopy', 'after'),
    await honestConversation('hybrid', 'off'),
  );
  pool.push(...hostileFrames(), ...captures.flatMap(({ fromDestination }) => fromDestination));
});

describe('IncomingMigration under a hostile source', () => {
  test('takes the guest when the source is honest', async () => {
    for (const { fromSource } of captures) {
      const target = new IncomingTarget();
      await play(target, fromSource, []);
      expect((await target.finish(false)).status).toBe('completed');
    }
  });

  test('keeps its promises when an honest conversation goes wrong in a few places', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(99), deviations, fc.boolean(), async (which, changes, silent) => {
        const target = new IncomingTarget();
        await play(target, captureOf(which), changes);
        await target.finish(silent);
      }),
      fuzzSettings(RUNS),
    );
  });

  test('keeps its promises when any messages come in any order', async () => {
    const choices = fc.array(fc.nat(9999), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(choices, fc.boolean(), async (frames, greets) => {
        const target = new IncomingTarget();
        const [hello] = captureOf(0);
        if (greets && hello !== undefined) target.peer.send(hello);
        await target.clock.advance(TURN_MS);
        const all = [...pool, ...captureOf(0)];
        for (const choice of frames) {
          target.peer.send(all[choice % all.length] ?? new Uint8Array(0));
          if (choice % 3 === 0) await target.clock.advance(TURN_MS);
        }
        await target.finish(false);
      }),
      fuzzSettings(RUNS),
    );
  });

  test('keeps its promises when each hostile message comes at each place', async () => {
    const [cold = [], postcopy = []] = captures.map(({ fromSource }) => fromSource).slice(2);
    // Deeper places are reached by few runs of the properties above. Every message everywhere would
    // take too long here.
    const stride = Math.max(1, Math.round(1500 / FUZZ_RUNS) * 31);
    for (const capture of [cold, postcopy]) {
      for (let cell = 0; cell < pool.length * capture.length; cell += 2 * stride) {
        const at = cell % capture.length;
        const target = new IncomingTarget();
        await play(target, capture.slice(0, at), []);
        target.peer.send(pool[Math.floor(cell / capture.length)] ?? new Uint8Array(0));
        await target.clock.advance(TURN_MS);
        await target.finish(false);
      }
    }
  });
});

async function play(
  target: IncomingTarget,
  frames: readonly Uint8Array[],
  changes: readonly PlacedDeviation[],
): Promise<void> {
  const { peer, clock } = target;
  for (const [index, frame] of frames.entries()) {
    const change = changes.find(({ share }) => Math.floor(share * frames.length) === index);
    if (change === undefined) peer.send(frame);
    else {
      const situation = { deviation: change.deviation, pool, honest: frames, clock };
      const acted = deviate(peer, frame, situation);
      if (change.deviation.kind === 'wait') await clock.advance(change.deviation.ms);
      await acted;
    }
    await clock.advance(TURN_MS);
  }
}

function captureOf(which: number): readonly Uint8Array[] {
  return captures[which % captures.length]?.fromSource ?? [];
}
