import {
  decodePing,
  encodeGuestStarted,
  encodeHelloAck,
  encodePong,
  encodeProgress,
  encodeResumed,
  encodeSwitchoverAck,
  encodeVerifyResult,
  type MessageName,
} from '../../../../src/protocol/index.ts';
import { type Deviation, deviate, type PlacedDeviation } from './deviations.ts';
import { controlFrame } from './frames.ts';
import type { OutgoingTarget } from './outgoing-target.ts';

/** Answers in a conversation of the small guest, about. */
const ANSWERS = 24;

/** Answers as an honest destination would, but at the places where it does otherwise. */
export class AlmostHonestDestination {
  private readonly target: OutgoingTarget;
  private readonly deviations: ReadonlyMap<number, Deviation>;
  private readonly pool: readonly Uint8Array[];
  private readonly honest: readonly Uint8Array[];
  private answers = 0;
  private tail: Promise<void> = Promise.resolve();

  constructor(
    target: OutgoingTarget,
    deviations: readonly PlacedDeviation[],
    pool: readonly Uint8Array[],
    honest: readonly Uint8Array[],
  ) {
    this.target = target;
    this.pool = pool;
    this.honest = honest;
    this.deviations = new Map(
      deviations.map(({ share, deviation }) => [Math.floor(share * ANSWERS), deviation]),
    );
    target.peer.onFrame = (name, body) => this.hear(name, body);
  }

  get answerCount(): number {
    return this.answers;
  }

  private hear(name: MessageName, body: Uint8Array): void {
    for (const frame of this.answersTo(name, body)) {
      const deviation = this.deviations.get(this.answers);
      this.answers += 1;
      this.tail = this.tail.then(() => this.say(frame, deviation));
    }
  }

  private async say(frame: Uint8Array, deviation: Deviation | undefined): Promise<void> {
    const { target, pool, honest } = this;
    if (deviation === undefined) target.peer.send(frame);
    else await deviate(target.peer, frame, { deviation, pool, honest, clock: target.clock });
  }

  private answersTo(name: MessageName, body: Uint8Array): Uint8Array[] {
    const { peer, clock } = this.target;
    switch (name) {
      case 'HELLO':
        return [
          controlFrame(
            'HELLO_ACK',
            encodeHelloAck({
              software: 'almost honest',
              capabilities: ['xbzrle'],
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
        return [
          controlFrame('RESUMED', encodeResumed({ epoch: 2, running: true, parts: {} })),
          controlFrame(
            'GUEST_STARTED',
            encodeGuestStarted({
              firstStepMs: [1, 1],
              longestGapMs: 1,
              guestDowntimeUs: 1000,
              errorUs: null,
            }),
          ),
        ];
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
}
