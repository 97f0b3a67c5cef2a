import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { MigrationParameters } from '../../../src/base/index.ts';
import { FUZZ_RUNS, fuzzSettings } from '../fuzz-settings.ts';
import { AlmostHonestDestination } from './support/almost-honest-destination.ts';
import { deviations } from './support/deviations.ts';
import { honestConversation } from './support/honest-conversation.ts';
import { hostileFrames } from './support/hostile-frames.ts';
import { OutgoingTarget } from './support/outgoing-target.ts';

/** A stalled conversation takes many simulated seconds. */
const RUNS = FUZZ_RUNS / 20;
const MODES: readonly Partial<MigrationParameters>[] = [
  { mode: 'precopy', verify: 'after' },
  { mode: 'stop', verify: 'strict' },
  { mode: 'precopy', verify: 'off' },
  { mode: 'postcopy', verify: 'after' },
  { mode: 'hybrid', verify: 'off' },
];

const pool: Uint8Array[] = [];
const honest: Uint8Array[] = [];

beforeAll(async () => {
  const { fromSource, fromDestination } = await honestConversation('precopy', 'after');
  pool.push(...hostileFrames(), ...fromSource);
  honest.push(...fromDestination);
});

describe('OutgoingMigration under a hostile destination', () => {
  test.each(MODES)('completes when the destination is honest: %j', async (parameters) => {
    const target = new OutgoingTarget(parameters);
    new AlmostHonestDestination(target, [], pool, honest);
    expect((await target.run()).status).toBe('completed');
  });

  test('keeps the guest when the destination goes wrong in a few places', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(99), deviations, async (which, changes) => {
        const target = new OutgoingTarget(MODES[which % MODES.length]);
        new AlmostHonestDestination(target, changes, pool, honest);
        await target.run();
      }),
      fuzzSettings(RUNS),
    );
  });

  test('keeps its pages when a destination in post-copy goes wrong, and comes back wrong', async () => {
    const connections = fc.array(deviations, { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(deviations, connections, async (changes, further) => {
        const target: OutgoingTarget = new OutgoingTarget(
          { mode: 'postcopy', verify: 'off' },
          {
            joined: (peer, connection) => {
              const late = (further[connection - 1] ?? []).map((place) => ({
                ...place,
                share: place.share / 4,
              }));
              new AlmostHonestDestination(target, late, pool, honest, peer);
            },
          },
        );
        // Past the switch, where the pages are.
        const later = changes.map((place) => ({ ...place, share: 0.35 + place.share * 0.65 }));
        new AlmostHonestDestination(target, later, pool, honest);
        await target.run();
      }),
      fuzzSettings(RUNS),
    );
  });

  test('keeps the guest when the destination says anything', async () => {
    const choices = fc.array(fc.tuple(fc.nat(9999), fc.nat(30)), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(choices, fc.uint8Array({ maxLength: 100 }), async (frames, noise) => {
        const target = new OutgoingTarget();
        const { peer, clock } = target;
        let atMs = 5;
        const all = [...pool, ...honest];
        for (const [choice, waitMs] of frames) {
          atMs += waitMs;
          const frame = all[choice % all.length] ?? new Uint8Array(0);
          void clock.sleep(atMs).then(() => peer.send(frame));
        }
        void clock
          .sleep(atMs + 20)
          .then(() => (noise.length > 0 ? peer.sendRaw(noise) : peer.end()));
        await target.run();
      }),
      fuzzSettings(RUNS / 2),
    );
  });
});
