import type { ErrorCode } from '../../../src/base/index.ts';
import { FRAME_HEADER_BYTES } from '../../../src/protocol/index.ts';
import { type ExpectedFailure, LOST } from './crossing.ts';
import type { CrossingFrame, Judge, Verdict } from './frame-link.ts';

/** What a link does to frames before GRANT, and what both sides make of it. */
export interface StreamFault extends ExpectedFailure {
  readonly name: string;
  /** For one link: it may remember what has crossed. */
  readonly newJudge: () => Judge;
}

/** Whether the frame is the one; for one link. */
type Finder = () => (frame: CrossingFrame) => boolean;

/** The frame with one bit of a byte flipped. */
function flipped({ bytes }: CrossingFrame, at: number): Uint8Array {
  const damaged = Uint8Array.from(bytes);
  damaged[at] = (damaged[at] ?? 0) ^ 0x10;
  return damaged;
}

const batch =
  (count: number): Finder =>
  () =>
  (frame) =>
    frame.name === 'PAGE_BATCH' && frame.count === count;

/** A batch that carries payload; the first ones hold zero runs only. */
const firstPayload: Finder = () => {
  let found = false;
  return ({ name, header }) => {
    if (found || name !== 'PAGE_BATCH' || header.bodyBytes === header.checkedBytes) return false;
    found = true;
    return true;
  };
};

/** As `firstPayload`, once the guest stands still. */
const payloadOfThePause: Finder = () => {
  const isFirst = firstPayload();
  let stopped = false;
  return (frame) => {
    stopped ||= frame.name === 'STOPPED';
    return stopped && isFirst(frame);
  };
};

function damage(
  name: string,
  code: ErrorCode,
  find: Finder,
  how: (frame: CrossingFrame) => Verdict,
): StreamFault {
  const newJudge = (): Judge => {
    const isIt = find();
    return (frame) => (frame.from === 'source' && isIt(frame) ? how(frame) : 'pass');
  };
  return { name, source: [code], destination: [code], newJudge };
}

function cut(name: string, message: string, verdict: Verdict = 'cut', count = 1): StreamFault {
  return {
    name,
    source: LOST,
    destination: LOST,
    newJudge: () => (frame) =>
      `${frame.from} ${frame.name}` === message && frame.count === count ? verdict : 'pass',
  };
}

const tableAt = ({ header }: CrossingFrame) =>
  FRAME_HEADER_BYTES + header.bodyBytes - header.checkedBytes;

/** At every stage of a migration. */
export const STREAM_FAULTS: readonly StreamFault[] = [
  cut('HELLO is lost with the link', 'source HELLO'),
  cut('HELLO_ACK is lost with the link', 'destination HELLO_ACK'),
  cut('the link breaks in pass 1', 'source PAGE_BATCH', 'cut', 5),
  cut('the link breaks when the guest has stopped', 'source STOPPED'),
  cut('the link breaks before the machine state', 'source MACHINE_STATE'),
  cut('SWITCHOVER is lost with the link', 'source SWITCHOVER'),
  cut('SWITCHOVER_ACK is lost with the link', 'destination SWITCHOVER_ACK'),
  damage('a header is damaged in pass 1', 'E_PROTOCOL_BAD_HEADER', batch(4), (frame) =>
    flipped(frame, 20),
  ),
  damage('a page is damaged in pass 1', 'E_PAGE_HASH', firstPayload, (frame) =>
    flipped(frame, FRAME_HEADER_BYTES + 1234),
  ),
  damage('a page table is damaged in pass 1', 'E_PROTOCOL_CHECKSUM', firstPayload, (frame) =>
    flipped(frame, tableAt(frame) + 1),
  ),
  damage('a frame is lost', 'E_PROTOCOL_SEQUENCE', batch(4), () => new Uint8Array(0)),
  damage('a frame is repeated', 'E_PROTOCOL_SEQUENCE', batch(4), ({ bytes }) =>
    Buffer.concat([bytes, bytes]),
  ),
  damage('a page is damaged in the pause', 'E_PAGE_HASH', payloadOfThePause, (frame) =>
    flipped(frame, FRAME_HEADER_BYTES + 5),
  ),
  damage(
    'the machine state is damaged',
    'E_PROTOCOL_CHECKSUM',
    () =>
      ({ name }) =>
        name === 'MACHINE_STATE',
    (frame) => flipped(frame, FRAME_HEADER_BYTES + 40),
  ),
  {
    name: 'an answer is damaged',
    source: ['E_PROTOCOL_CHECKSUM'],
    destination: ['E_PROTOCOL_CHECKSUM'],
    newJudge: () => (frame) =>
      frame.name === 'PROGRESS' && frame.count === 1 ? flipped(frame, FRAME_HEADER_BYTES) : 'pass',
  },
  {
    name: 'SWITCHOVER_ACK is damaged',
    source: ['E_PROTOCOL_CHECKSUM'],
    destination: ['E_PROTOCOL_CHECKSUM'],
    newJudge: () => (frame) =>
      frame.name === 'SWITCHOVER_ACK' ? flipped(frame, FRAME_HEADER_BYTES) : 'pass',
  },
];
