import { PAGE_BYTES, SternaError } from '../base/index.ts';
import { encodeHello, PROTOCOL_VERSION, rehearseSwitch } from '../protocol/index.ts';
import type { OutgoingContext } from './outgoing-context.ts';

export const SOFTWARE = 'sterna';
/** Capabilities that a user switches on and the destination must have. */
const ON_WIRE = [
  ...(['xbzrle', 'validate-uuid', 'postcopy-ram', 'postcopy-preempt'] as const),
  ...(['multifd', 'x-postcopy-journal'] as const),
] as const;
/** A capability of the wire alone: `x-codec` says whether a user wants it. */
const LZ4 = 'x-lz4';
/** Another one: deltas of missing pages. QEMU has none in post-copy. */
const POSTCOPY_XBZRLE = 'x-postcopy-xbzrle';
/**
 * The destination says nothing while it builds the machine, which takes a few seconds for 16 GiB
 * and 16 vCPUs on a small host: so much longer than any other silence may be its answer to HELLO.
 */
const HELLO_STALL_TIMEOUTS = 3;
/** On an idle link four round trips tell the shortest one well enough for the clock offset. */
const PING_COUNT = 4;
const PING_LIMIT_MS = 10_000;

/** HELLO and its answer: everything that could be wrong is found before a byte of RAM moves. */
export async function setUp(context: OutgoingContext): Promise<void> {
  const { channel, peer, record, parameters } = context;
  await peer.send('HELLO', encodeHello(hello(context)));
  context.reached('source.hello-sent');
  if (!channel.duplex) {
    if (wantsLz4(context)) context.codec.agree();
    return peer.assumeAnswer();
  }
  const limitMs = HELLO_STALL_TIMEOUTS * parameters.stallTimeoutMs;
  await answered(context, limitMs, 'answer to HELLO', () => peer.state !== 'greeting');
  const acknowledged = await peer.helloAck.promise;
  for (const wanted of wantedCapabilities(context)) {
    if (acknowledged.capabilities.includes(wanted)) continue;
    throw new SternaError('E_HANDSHAKE_CAPABILITY', `Destination does not support ${wanted}`, {
      detail: { supported: acknowledged.capabilities },
    });
  }
  // An older destination does not read LZ4: `auto` does without it.
  if (acknowledged.capabilities.includes(LZ4)) context.codec.agree();
  if (acknowledged.capabilities.includes(POSTCOPY_XBZRLE)) context.missingSender.agreeOnDeltas();
  await rehearse(context);
  await measureRoundTrip(context);
  context.log.info({
    event: 'migration.setup',
    peer: context.peerName,
    software: acknowledged.software,
    roundTripMs: context.meter.roundTripMs,
    epoch: record.epoch,
  });
}

/** Waits for something that the peer's next messages bring about. */
export async function answered(
  context: OutgoingContext,
  limitMs: number,
  what: string,
  condition: () => boolean,
): Promise<void> {
  await context.interrupt.until(condition, limitMs, what);
}

/**
 * What the pause will ask of this side, once, while the guest does not wait for it. The record says
 * again what is true: this side owns the guest, by the migration that brought it here.
 */
async function rehearse(context: OutgoingContext): Promise<void> {
  const { machine, ledger, record, peerName } = context;
  const { uuid } = machine.description;
  rehearseSwitch();
  machine.heartbeats();
  machine.pauseReasons();
  const known = ledger.read(uuid)?.migrationId;
  const owner = { uuid, epoch: record.epoch, state: 'owner', migrationId: known } as const;
  await ledger.write({ ...owner, peer: peerName });
}

async function measureRoundTrip(context: OutgoingContext): Promise<void> {
  const { peer } = context;
  for (let count = 1; count <= PING_COUNT; count += 1) {
    peer.ping();
    await answered(context, PING_LIMIT_MS, 'answer to PING', () => peer.pongCount >= count);
  }
}

/** Those that the destination must have. */
function wantedCapabilities({ capabilities, parameters }: OutgoingContext): readonly string[] {
  const names = ON_WIRE.filter((name) => capabilities[name]);
  return isLz4Forced(parameters) ? [...names, LZ4] : names;
}

/** Those that it does without where the destination has them not. */
function offeredCapabilities(context: OutgoingContext): readonly string[] {
  const { capabilities } = context;
  const deltas = capabilities.xbzrle && capabilities['postcopy-ram'] ? [POSTCOPY_XBZRLE] : [];
  return wantsLz4(context) ? [LZ4, ...deltas] : deltas;
}

function isLz4Forced({ codec }: OutgoingContext['parameters']): boolean {
  return codec !== 'auto' && codec !== 'none';
}

function wantsLz4({ parameters }: OutgoingContext): boolean {
  return parameters.codec !== 'none';
}

function hello(context: OutgoingContext): Parameters<typeof encodeHello>[0] {
  const { machine, parameters, channel, record, capabilities } = context;
  return {
    protocol: PROTOCOL_VERSION,
    software: SOFTWARE,
    role: 'main',
    migrationId: context.migrationId,
    guest: { epoch: record.epoch },
    pageBytes: PAGE_BYTES,
    machine: machine.description,
    capabilities: [...new Set([...wantedCapabilities(context), ...offeredCapabilities(context)])],
    parameters: {
      'x-mode': parameters.mode,
      'x-verify': parameters.verify,
      'x-stall-timeout': parameters.stallTimeoutMs,
      ...(capabilities['x-postcopy-journal'] ? journalParameters(parameters) : {}),
    },
    duplex: channel.duplex,
    ...(context.secret === undefined || !channel.duplex ? {} : { secret: context.secret }),
  };
}

/** What the destination goes by when it tells what its guest changes. */
function journalParameters(parameters: OutgoingContext['parameters']): Record<string, number> {
  return {
    'x-postcopy-journal-bandwidth': parameters.postcopyJournalBandwidthBytesPerSecond,
    'x-postcopy-journal-interval': parameters.postcopyJournalIntervalMs,
    'x-postcopy-journal-buffer': parameters.postcopyJournalBufferBytes,
  };
}

/** Throws E_CONFIG_INVALID for settings that cannot be kept together. */
export function refuseCombination({ parameters, capabilities, channel }: OutgoingContext): void {
  if (capabilities.multifd && !channel.duplex) {
    const text = 'A file has one stream: multifd needs a destination';
    throw new SternaError('E_CONFIG_INVALID', text, { detail: { capability: 'multifd' } });
  }
  if (!capabilities['postcopy-ram']) {
    if (parameters.mode !== 'precopy' || parameters.timeoutAction !== 'postcopy') return;
    throw new SternaError('E_CONFIG_INVALID', 'Post-copy at the timeout needs postcopy-ram', {
      detail: { parameter: 'x-timeout-action', value: 'postcopy', capability: 'postcopy-ram' },
    });
  }
  if (!channel.duplex) {
    throw new SternaError(
      'E_CONFIG_INVALID',
      'Post-copy needs a destination that can ask for pages',
    );
  }
  if (parameters.verify !== 'strict') return;
  throw new SternaError('E_CONFIG_INVALID', 'RAM cannot be compared before GRANT in post-copy', {
    detail: { parameter: 'x-verify', value: 'strict', expected: 'after or off' },
  });
}
