import { expect, onTestFinished, test } from 'vitest';
import {
  defaultCapabilities,
  defaultParameters,
  deferred,
  silentLogger,
  systemClock,
  volatileLedger,
} from '../../../src/base/index.ts';
import { connectPort } from '../../../src/control/migration/connect-destination.ts';
import { IncomingPort } from '../../../src/control/migration/incoming-port.ts';
import type { Residence } from '../../../src/control/migration/resident-guest.ts';
import { OutgoingMigration } from '../../../src/source/index.ts';
import { FakeFactory, FakeMachine } from '../../support/fake-machine.ts';

/** Whom a port lets in, told by a source that comes over TCP. */

const UUID = '0f0e0d0c-0000-4000-8000-00000000000a';
const OCCUPIED: Residence = { occupied: true, uuid: UUID };
const IN_USE: Residence = { occupied: true, uuid: undefined };
const VACANT: Residence = { occupied: false, uuid: undefined };

interface Listening {
  readonly port: IncomingPort;
  /** The guest of this side is on its way out. */
  leaving: boolean;
  /** What a source that comes now is told in the end, and when the port has asked about it. */
  come(): Promise<{ asked: Promise<void>; told: Promise<string | undefined> }>;
}

async function listening(resident: Residence): Promise<Listening> {
  const clock = systemClock();
  let asked = deferred<void>();
  const state = { leaving: false };
  const port = new IncomingPort({
    clock,
    log: silentLogger(),
    ledger: volatileLedger(),
    reached: () => {},
    security: {},
    // Behind the question of who else is here: a source that gets so far was let in.
    factory: new FakeFactory(clock, {
      refusal: { code: 'E_HANDSHAKE_MACHINE', message: 'Let in, and not wanted' },
    }),
    publish: () => {},
    resident: {
      isLeaving: () => {
        asked.resolve();
        return state.leaving;
      },
      mayYield: () => true,
      mustStand: () => {},
      yielded: () => {},
    },
    ended: () => {},
  });
  onTestFinished(() => port.close());
  const uri = await port.listen({
    uri: 'tcp:127.0.0.1:0',
    expectedUuid: undefined,
    startPaused: false,
    stallTimeoutMs: 10_000,
    resident,
  });
  const come = async () => {
    asked = deferred();
    const { signal } = new AbortController();
    const channel = await connectPort({ uri, clock, security: {}, timeoutMs: 10_000, signal });
    const outgoing = new OutgoingMigration({
      machine: new FakeMachine(clock),
      channel,
      clock,
      ledger: volatileLedger(),
      log: silentLogger(),
      migrationId: '1'.repeat(32),
      peer: uri,
      parameters: defaultParameters(),
      capabilities: defaultCapabilities(),
      observer: { info: () => {} },
    });
    const told = outgoing.run().then(({ error }) => error?.code);
    return { asked: asked.promise, told };
  };
  return Object.assign(state, { port, come });
}

test('IncomingPort refuses a source while a guest lives here', async () => {
  const { come } = await listening(OCCUPIED);
  expect(await (await come()).told).toBe('E_BUSY');
});

test('IncomingPort has a source wait while its own guest is on its way out', async () => {
  const side = await listening(OCCUPIED);
  side.leaving = true;
  const { asked, told } = await side.come();
  await asked;
  // The order in an agent: the worker is through with it, and the main thread answers.
  side.leaving = false;
  side.port.departed(true);
  side.port.setResident(IN_USE);
  side.port.setResident(VACANT);
  expect(await told).toBe('E_HANDSHAKE_MACHINE');
});

test('IncomingPort refuses the source that has waited when the guest stays after all', async () => {
  const side = await listening(OCCUPIED);
  side.leaving = true;
  const { asked, told } = await side.come();
  await asked;
  side.leaving = false;
  side.port.departed(false);
  expect(await told).toBe('E_BUSY');
});

test('IncomingPort refuses at once again when another guest has come meanwhile', async () => {
  const side = await listening(IN_USE);
  side.port.departed(true);
  side.port.setResident(VACANT);
  side.port.setResident(OCCUPIED);
  expect(await (await side.come()).told).toBe('E_BUSY');
});
