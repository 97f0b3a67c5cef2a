import {
  decodeJoin,
  decodePing,
  encodeAllReceived,
  encodeAttached,
  encodeGuestStarted,
  encodeHelloAck,
  encodePageMap,
  encodePageRequest,
  encodePong,
  encodePostcopyResumed,
  encodeProgress,
  encodeRecovered,
  encodeRecovery,
  encodeResumed,
  encodeSwitchoverAck,
  encodeVerifyResult,
  type MessageName,
} from '../../../../src/protocol/index.ts';
import { type Deviation, deviate, type PlacedDeviation } from './deviations.ts';
import { controlFrame, mapFrame } from './frames.ts';
import { BLOCK_PAGES } from './honest-conversation.ts';
import type { OutgoingTarget } from './outgoing-target.ts';
import type { RawPeer } from './raw-peer.ts';

const ALL_RECEIVED = {
  ...{ pages: 4096, requestedPages: 1, blocktimeMs: 1, vcpuBlocktimeMs: [1, 1], latencyNs: 1000 },
};
/** Answers in a conversation of the small guest, about. */
const ANSWERS = 24;

/** Answers as an honest destination would, but at the places where it does otherwise. */
export class AlmostHonestDestination {
  private readonly target: OutgoingTarget;
  private readonly deviations: ReadonlyMap<number, Deviation>;
  private readonly pool: readonly Uint8Array[];
  private readonly honest: readonly Uint8Array[];
  private answers = 0;
  private missesPages = false;
  private tail: Promise<void> = Promise.resolve();

  constructor(
    target: OutgoingTarget,
    deviations: readonly PlacedDeviation[],
    pool: readonly Uint8Array[],
    honest: readonly Uint8Array[],
    peer: RawPeer = target.peer,
  ) {
    this.target = target;
    this.pool = pool;
    this.honest = honest;
    this.deviations = new Map(
      deviations.map(({ share, deviation }) => [Math.floor(share * ANSWERS), deviation]),
    );
    peer.onFrame = (name, body) => this.hear(peer, name, body);
  }

  get answerCount(): number {
    return this.answers;
  }

  private hear(peer: RawPeer, name: MessageName, body: Uint8Array): void {
    for (const frame of this.answersTo(peer, name, body)) {
      const deviation = this.deviations.get(this.answers);
      this.answers += 1;
      this.tail = this.tail.then(() => this.say(peer, frame, deviation));
    }
  }

  private async say(
    peer: RawPeer,
    frame: Uint8Array,
    deviation: Deviation | undefined,
  ): Promise<void> {
    const { target, pool, honest } = this;
    if (deviation === undefined) peer.send(frame);
    else await deviate(peer, frame, { deviation, pool, honest, clock: target.clock });
  }

  private answersTo(peer: RawPeer, name: MessageName, body: Uint8Array): Uint8Array[] {
    const { clock } = this.target;
    switch (name) {
      case 'HELLO':
        return [
          controlFrame(
            'HELLO_ACK',
            encodeHelloAck({
              software: 'almost honest',
              capabilities: ['xbzrle', 'postcopy-ram', 'postcopy-preempt'],
              parameters: {},
              receivedPages: 0,
            }),
          ),
        ];
      case 'PING': {
        const ping = decodePing(body);
        if (ping.kind === 'malformed') throw ping.error;
        const pong = { ...ping.body, peerTimeMs: clock.nowMs() };
        return [controlFrame('PONG', encodePong(pong))];
      }
      case 'PAGE_BATCH':
      case 'STOPPED': {
        const progress = { receivedBytes: peer.receivedBytes, pages: 0 };
        return [controlFrame('PROGRESS', encodeProgress(progress))];
      }
      case 'SWITCHOVER':
        return [controlFrame('SWITCHOVER_ACK', encodeSwitchoverAck({ epoch: 2, loadMs: 0.5 }))];
      case 'GRANT':
        return this.resume();
      case 'MISSING_MAP':
        this.missesPages = true;
        return [];
      case 'POSTCOPY_END':
        return [controlFrame('ALL_RECEIVED', encodeAllReceived(ALL_RECEIVED))];
      case 'JOIN':
        return this.rejoin(body);
      case 'VERIFY_END':
        return [
          controlFrame(
            'VERIFY_RESULT',
            encodeVerifyResult({ status: 'identical', pages: 4096, mismatches: [] }),
          ),
        ];
      default:
        return [];
    }
  }

  private resume(): Uint8Array[] {
    const resumed = { epoch: 2, running: true, parts: {} };
    const started = {
      ...{ firstStepMs: [1, 1], longestGapMs: 1, guestDowntimeUs: 1000, errorUs: null },
    };
    return [
      this.missesPages
        ? controlFrame('POSTCOPY_RESUMED', encodePostcopyResumed(resumed))
        : controlFrame('RESUMED', encodeResumed(resumed)),
      controlFrame('GUEST_STARTED', encodeGuestStarted(started)),
      ...(this.missesPages
        ? [controlFrame('PAGE_REQUEST', encodePageRequest({ pages: [{ block: 0, pfn: 5 }] }))]
        : []),
    ];
  }

  /** A destination that has received nothing yet, page by page as far as it says. */
  private rejoin(body: Uint8Array): Uint8Array[] {
    const join = decodeJoin(body);
    if (join.kind === 'ok' && join.body.role === 'preempt')
      return [controlFrame('ATTACHED', encodeAttached())];
    const answer = { outcome: 'owner', epoch: 2, continues: true, running: true } as const;
    const missingPages = 8;
    return [
      controlFrame('RECOVERY', encodeRecovery(answer)),
      ...BLOCK_PAGES.map((pages, block) => {
        const bitmap = new Uint8Array(Math.ceil(pages / 8)).fill(0xff);
        // The first eight pages of the first block are missing.
        if (block === 0) bitmap[0] = 0;
        if (pages % 8 !== 0) bitmap[bitmap.length - 1] = 0xff >>> (8 - (pages % 8));
        return mapFrame('RECEIVED_MAP', block, encodePageMap(bitmap, pages));
      }),
      controlFrame('RECOVERED', encodeRecovered({ missingPages })),
    ];
  }
}
