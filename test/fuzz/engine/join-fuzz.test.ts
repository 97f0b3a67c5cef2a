import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeRecovery,
  encodeJoin,
  type JoinBody,
  migrationIdOf,
} from '../../../src/protocol/index.ts';
import { FUZZ_RUNS, fuzzSettings } from '../fuzz-settings.ts';
import { controlFrame, nameOf } from './support/frames.ts';
import { honestConversation, SECRET, UUID } from './support/honest-conversation.ts';
import { hostileFrames } from './support/hostile-frames.ts';
import { expectTyped, IncomingTarget } from './support/incoming-target.ts';

const TURN_MS = 2;
/** A machine of 16 MiB is built in each. */
const RUNS = FUZZ_RUNS / 50;

const JOIN: JoinBody = {
  protocol: 1,
  software: 'stranger',
  role: 'recover',
  uuid: UUID,
  migrationId: 'captured',
  epoch: 2,
  secret: SECRET,
};

/** At least one thing that the source of the migration would say otherwise. */
const wrong: fc.Arbitrary<Partial<JoinBody>> = fc.oneof(
  fc
    .stringMatching(/^[0-9a-f]{32}$/)
    .filter((secret) => secret !== SECRET)
    .map((secret) => ({ secret })),
  fc.constantFrom(1, 3, 77, Number.MAX_SAFE_INTEGER - 2).map((epoch) => ({ epoch })),
  fc.constant({ uuid: '00000000-0000-4000-8000-000000000002' }),
  fc.constant({ role: 'preempt' as const, migrationId: 'another' }),
);

test('IncomingMigration in post-copy tells a stranger nothing, and nothing changes', async () => {
  const { fromSource } = await honestConversation('postcopy', 'off');
  const hostile = hostileFrames();
  const property = fc.asyncProperty(
    wrong,
    fc.constantFrom('recover' as const, 'preempt' as const, 'multifd' as const),
    fc.array(fc.nat(9999), { maxLength: 10 }),
    async (changes, role, choices) => {
      const target = new IncomingTarget();
      // All but the last pages, so that the guest runs and some are missing.
      const untilGrant = fromSource.findIndex((frame) => nameOf(frame) === 'GRANT') + 1;
      for (const frame of fromSource.slice(0, untilGrant)) {
        target.peer.send(frame);
        await target.clock.advance(TURN_MS);
      }
      expect(target.info.status).toBe('postcopy-active');
      const { peer, outcome } = target.join();
      const heard: string[] = [];
      peer.onFrame = (name) => heard.push(name);
      peer.send(controlFrame('JOIN', encodeJoin({ ...JOIN, role, ...changes })));
      for (const choice of choices)
        peer.send(hostile[choice % hostile.length] ?? new Uint8Array(0));
      peer.end();
      await target.clock.advance(50);
      const { status, error } = await target.clock.runUntil(outcome, 60_000);
      expect(status).toBe('failed');
      if (error !== undefined) expectTyped(error);
      expect(heard.filter((name) => name !== 'ERROR')).toEqual([]);
      expect(target.info).toMatchObject({ status: 'postcopy-active', owner: 'destination' });
      expect(target.info.postcopy?.recoveries).toBe(0);
      expect((await target.finish(false)).status).toBe('paused');
    },
  );
  await fc.assert(property, fuzzSettings(RUNS));
});

test.each([
  ['before GRANT', 0],
  ['in post-copy', 1],
])('IncomingMigration %s is not harmed by whoever asks of another migration', async (_, after) => {
  const { fromSource } = await honestConversation('postcopy', 'off');
  for (const epoch of [1, 2, 3]) {
    const target = new IncomingTarget();
    const grant = fromSource.findIndex((frame) => nameOf(frame) === 'GRANT');
    for (const frame of fromSource.slice(0, grant + after)) {
      target.peer.send(frame);
      await target.clock.advance(TURN_MS);
    }
    const before = target.ledger.read(UUID);
    const { peer, outcome } = target.join();
    const outcomes: string[] = [];
    peer.onFrame = (name, body) => {
      const decoded = decodeRecovery(body);
      outcomes.push(decoded.kind === 'ok' ? decoded.body.outcome : name);
    };
    const secret = 'f'.repeat(32);
    const asked = { ...JOIN, secret, migrationId: migrationIdOf(secret), epoch, claimedEpoch: 9 };
    peer.send(controlFrame('JOIN', encodeJoin(asked)));
    peer.end();
    await target.clock.runUntil(outcome, 60_000);
    expect(outcomes.filter((word) => word === 'owner' || word === 'lost')).toEqual([]);
    expect(target.ledger.read(UUID)).toEqual(before);
    for (const frame of fromSource.slice(grant + after)) {
      target.peer.send(frame);
      await target.clock.advance(TURN_MS);
    }
    expect((await target.finish(false)).status).toBe('completed');
  }
});
