import { type GuestOwner, PAGE_BYTES, SternaError } from '../base/index.ts';
import type { Machine } from '../guestmem/index.ts';
import {
  type BodyResult,
  type DestinationState,
  decodeCancel,
  decodeError,
  decodeGrant,
  decodeHello,
  decodeMachineState,
  decodePassBegin,
  decodePing,
  decodeStopped,
  decodeSwitchover,
  decodeVerifyEnd,
  encodeGuestStarted,
  encodeHelloAck,
  encodePong,
  encodeProgress,
  encodeResumed,
  encodeSwitchoverAck,
  encodeVerifyResult,
  errorFromBody,
  type FrameHeader,
  type HelloBody,
  type MachineStateBody,
  type MessageName,
  MISMATCH_COUNT_MAX,
  rehearseSwitch,
  type SwitchoverBody,
} from '../protocol/index.ts';
import { observeGuestDowntime } from './guest-downtime.ts';
import type { IncomingOptions } from './incoming-contract.ts';
import type { IncomingRecord } from './incoming-record.ts';
import { PageLoader } from './page-loader.ts';
import type { TakeOver } from './take-over.ts';

const SOFTWARE = 'sterna';
const SUPPORTED_CAPABILITIES = ['xbzrle', 'validate-uuid'] as const;
/**
 * The source learns how far this side is at least this often, so that its window and its estimates
 * are right.
 */
const PROGRESS_BYTES = 512 * 2 ** 10;
const PROGRESS_MS = 5;

/** What handlers need of the migration that they are part of. */
export interface Conversation {
  send(name: MessageName, body: Uint8Array): void;
  publish(): void;
  state(): DestinationState;
}

/** What each message of the source does. The order in which they come has been checked. */
export class MessageHandlers {
  machine: Machine | undefined;
  private readonly options: IncomingOptions;
  private readonly record: IncomingRecord;
  private readonly takeOver: TakeOver;
  private readonly conversation: Conversation;
  private loader: PageLoader | undefined;
  private hello: HelloBody | undefined;
  private machineState: MachineStateBody | undefined;
  private strictVerify = false;
  private lastStepMs: readonly number[] = [];
  private stoppedMs = 0;
  private progressBytes = 0;
  private progressMs = 0;
  private owned = false;

  constructor(
    options: IncomingOptions,
    record: IncomingRecord,
    takeOver: TakeOver,
    conversation: Conversation,
  ) {
    this.options = options;
    this.record = record;
    this.takeOver = takeOver;
    this.conversation = conversation;
  }

  placePages(header: FrameHeader): Uint8Array | SternaError {
    return (
      this.loader?.place(header) ??
      new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Pages came before the machine')
    );
  }

  /** The limit that the source asked for, if it did. */
  stallTimeoutMs(ownMs: number): number {
    const asked = this.hello?.parameters['x-stall-timeout'];
    return typeof asked === 'number' && asked >= 100 && asked <= 3_600_000 ? asked : ownMs;
  }

  /**
   * Does what `name` asks for. Returns a promise when that takes time. Throws what is wrong with
   * it.
   */
  handle(name: MessageName, header: FrameHeader, body: Uint8Array): Promise<void> | undefined {
    switch (name) {
      case 'HELLO':
        return this.greet(accept(decodeHello(body)));
      case 'PASS_BEGIN':
        return this.beginPass(accept(decodePassBegin(body)));
      case 'PAGE_BATCH':
        return this.applyPages(header);
      case 'STOPPED':
        return this.stopped(accept(decodeStopped(body)).lastStepMs);
      case 'MACHINE_STATE':
        // Decoded copies: `body` is only lent, and loading waits for SWITCHOVER.
        this.machineState = accept(decodeMachineState(body.slice()));
        return undefined;
      case 'SWITCHOVER':
        return this.load(accept(decodeSwitchover(body)));
      case 'GRANT':
        return this.resume(accept(decodeGrant(body)).epoch);
      case 'VERIFY_HASHES':
        return this.compareHashes(header);
      case 'VERIFY_END':
        return this.endVerify(accept(decodeVerifyEnd(body)).pages);
      case 'PING': {
        const { id, timeMs } = accept(decodePing(body));
        this.conversation.send(
          'PONG',
          encodePong({ id, timeMs, peerTimeMs: this.options.clock.nowMs() }),
        );
        return undefined;
      }
      default:
        return undefined;
    }
  }

  /** The error that CANCEL or ERROR of the source means here. */
  farewell(name: 'CANCEL' | 'ERROR', body: Uint8Array): SternaError {
    if (name === 'ERROR') return errorFromBody(accept(decodeError(body)), 'source');
    const { reason } = accept(decodeCancel(body));
    return new SternaError('E_CANCELLED', 'Source cancelled the migration', { detail: { reason } });
  }

  /** Leaves nothing of a failed migration behind. Resolves to the owner of the guest. */
  async undo(): Promise<GuestOwner> {
    const { factory, log } = this.options;
    const machine = this.machine;
    this.machine = undefined;
    this.loader = undefined;
    if (machine !== undefined) await factory.destroy(machine);
    // own() has settled the record of a failed take-over already, whatever error came first.
    if (this.owned) return this.takeOver.ownerAfterFailure;
    try {
      await this.takeOver.abandon();
      return 'source';
    } catch (thrown) {
      log.warn({ event: 'ownership.record-failed', error: String(thrown) });
      // Nothing says that this side owns the guest, and GRANT did not come.
      return 'source';
    }
  }

  private async greet(hello: HelloBody): Promise<void> {
    const { options, record } = this;
    this.hello = hello;
    record.migrationId = hello.migrationId;
    record.mode = hello.parameters['x-mode'] === 'stop' ? 'stop' : 'precopy';
    record.epoch = hello.guest.epoch;
    this.checkUuid(hello);
    checkPageSize(hello);
    const { machine: description } = hello;
    const refusal = options.factory.refusal(description);
    if (refusal !== undefined) throw new SternaError(refusal.code, refusal.message);
    await this.takeOver.prepare(hello);
    const machine = await options.factory.create(description);
    this.machine = machine;
    if (options.startPaused) await machine.pause('operator');
    await rehearse(machine);
    this.loader = new PageLoader(machine.memory);
    record.totalPages = machine.memory.pageCount;
    record.status = 'active';
    record.setupTimeMs = this.elapsedMs();
    const capabilities = SUPPORTED_CAPABILITIES.filter((name) => hello.capabilities.includes(name));
    this.conversation.send(
      'HELLO_ACK',
      encodeHelloAck({
        software: SOFTWARE,
        capabilities,
        parameters: hello.parameters,
        receivedPages: 0,
      }),
    );
    this.conversation.publish();
  }

  private checkUuid(hello: HelloBody): void {
    const { expectedUuid } = this.options;
    if (expectedUuid === undefined || !hello.capabilities.includes('validate-uuid')) return;
    if (hello.machine.uuid.toLowerCase() === expectedUuid.toLowerCase()) return;
    throw new SternaError(
      'E_HANDSHAKE_UUID',
      'Guest has another uuid than this destination expects',
      {
        detail: { uuid: hello.machine.uuid, expectedUuid },
      },
    );
  }

  private beginPass({ pass, dirtyPages }: { pass: number; dirtyPages: number }): undefined {
    this.record.dirtySyncCount = pass;
    this.record.remainingPages = dirtyPages;
    // In the pause each answer costs the guest a wake-up of the source.
    if (this.record.status !== 'device') this.tellProgress();
    this.conversation.publish();
  }

  private applyPages(header: FrameHeader): undefined {
    if (this.loader === undefined)
      throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Pages came before the machine');
    const result = this.loader.apply(header);
    this.record.applied(result, header.bodyBytes, header.checkedBytes);
    const { channel, clock } = this.options;
    const due =
      channel.receivedBytes - this.progressBytes >= PROGRESS_BYTES ||
      clock.nowMs() - this.progressMs >= PROGRESS_MS;
    if (due) this.tellProgress();
  }

  private tellProgress(): void {
    const { channel, clock } = this.options;
    this.progressBytes = channel.receivedBytes;
    this.progressMs = clock.nowMs();
    this.conversation.send(
      'PROGRESS',
      encodeProgress({ receivedBytes: channel.receivedBytes, pages: this.record.appliedPages }),
    );
  }

  private stopped(lastStepMs: readonly number[]): undefined {
    this.lastStepMs = lastStepMs;
    this.stoppedMs = this.options.clock.nowMs();
    this.record.status = 'device';
    this.record.precopyBytes = this.options.channel.receivedBytes;
    this.conversation.publish();
  }

  private async load(switchover: SwitchoverBody): Promise<void> {
    const { record, machine, machineState } = this;
    if (machine === undefined || machineState === undefined)
      throw new SternaError('E_MACHINE_STATE', 'Machine state is missing');
    const startMs = this.options.clock.nowMs();
    const complete =
      switchover.pages === record.totalPages && record.receivedPages === record.totalPages;
    if (!complete || switchover.batches !== record.batches) {
      throw new SternaError('E_PAGE_MISSING', 'Not every page of RAM has come', {
        detail: {
          totalPages: record.totalPages,
          receivedPages: record.receivedPages,
          batches: record.batches,
          sentBatches: switchover.batches,
        },
      });
    }
    this.strictVerify = switchover.strictVerify;
    await machine.load(machineState);
    if (switchover.paused) await machine.pause('operator');
    const loadMs = this.options.clock.nowMs() - startMs;
    record.downtimeParts.load = loadMs;
    this.conversation.send(
      'SWITCHOVER_ACK',
      encodeSwitchoverAck({ epoch: this.takeOver.epoch, loadMs }),
    );
  }

  private async resume(epoch: number): Promise<void> {
    const { machine, record, options, takeOver } = this;
    if (machine === undefined || epoch !== takeOver.epoch) {
      throw new SternaError('E_HANDSHAKE_EPOCH', 'GRANT is for another epoch', {
        detail: { epoch, expected: takeOver.epoch },
      });
    }
    this.refuseMismatch();
    this.owned = true;
    record.grantedBytes = options.channel.receivedBytes;
    const recordMs = await takeOver.own();
    machine.resetHeartbeats();
    machine.resume('ownership');
    // It stays paused when this side was told so, or an operator had stopped it at the source.
    const running = machine.pauseReasons().length === 0;
    record.epoch = epoch;
    record.owner = 'destination';
    record.status = 'completed';
    record.downtimeMs = options.clock.nowMs() - this.stoppedMs;
    record.downtimeParts.record = recordMs;
    this.conversation.send(
      'RESUMED',
      encodeResumed({ epoch, running, parts: record.downtimeParts }),
    );
    this.conversation.publish();
    if (running) void this.tellGuestDowntime(machine);
  }

  private async tellGuestDowntime(machine: Machine): Promise<void> {
    const observed = await observeGuestDowntime(machine, this.options.clock, this.lastStepMs);
    this.record.guestDowntimeUs = observed.guestDowntimeUs ?? undefined;
    this.conversation.send('GUEST_STARTED', encodeGuestStarted({ ...observed, errorUs: null }));
    this.conversation.publish();
  }

  private compareHashes(header: FrameHeader): undefined {
    if (this.loader === undefined)
      throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Hashes came before the machine');
    const { verify } = this.record;
    const fromRam = this.strictVerify && this.record.status !== 'completed';
    const { pages, differences } = this.loader.compare(header, fromRam, MISMATCH_COUNT_MAX);
    this.record.verify = {
      status: 'running',
      pages: verify.pages + pages,
      mismatches: [...verify.mismatches, ...differences].slice(0, MISMATCH_COUNT_MAX),
    };
    this.tellProgress();
  }

  private endVerify(announcedPages: number): undefined {
    const { verify, totalPages } = this.record;
    const complete = verify.pages === totalPages && announcedPages === totalPages;
    const status = complete && verify.mismatches.length === 0 ? 'identical' : 'mismatch';
    this.record.verify = { ...verify, status };
    if (status === 'mismatch')
      this.options.log.error({ event: 'verify.mismatch', pages: verify.mismatches });
    this.conversation.send(
      'VERIFY_RESULT',
      encodeVerifyResult({ status, pages: verify.pages, mismatches: verify.mismatches }),
    );
    this.conversation.publish();
  }

  /**
   * What was to be compared before GRANT (strict, or from a file) must have been found identical.
   */
  private refuseMismatch(): void {
    const { status } = this.record.verify;
    if (this.strictVerify && status !== 'identical' && status !== 'mismatch') {
      throw new SternaError(
        'E_PROTOCOL_UNEXPECTED_MESSAGE',
        'GRANT came before the RAM was compared',
      );
    }
    if (status !== 'mismatch') return;
    throw new SternaError('E_VERIFY_MISMATCH', 'RAM differs from that of the source', {
      detail: { pages: this.record.verify.mismatches.join(' ') },
    });
  }

  private elapsedMs(): number {
    const { clock, channel } = this.options;
    return this.record.info(clock.nowMs(), channel.receivedBytes).totalTimeMs;
  }
}

/**
 * Blocks were measured in pages of that size when HELLO was decoded, so this comes before any of
 * them is built.
 */
function checkPageSize({ pageBytes }: HelloBody): void {
  if (pageBytes === PAGE_BYTES) return;
  throw new SternaError('E_HANDSHAKE_RAM_LAYOUT', 'Source has pages of another size', {
    detail: { pageBytes, expected: PAGE_BYTES },
  });
}

/** What the pause will ask of this side, once, while the guest does not wait for it. */
async function rehearse(machine: Machine): Promise<void> {
  rehearseSwitch();
  await machine.load(await machine.save());
  machine.resetHeartbeats();
}

/** The channel closes with what is thrown here. */
function accept<T>(result: BodyResult<T>): T {
  if (result.kind === 'malformed') throw result.error;
  return result.body;
}
