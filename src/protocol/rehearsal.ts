import {
  decodeGrant,
  decodePostcopyResumed,
  decodeResumed,
  encodeGrant,
  encodePostcopyResumed,
  encodeResumed,
} from './messages/grant.ts';
import { decodeJournalPoint, encodeJournalPoint } from './messages/journal.ts';
import { decodeMachineState, encodeMachineState } from './messages/machine-state.ts';
import { decodePassBegin, decodeStopped, encodePassBegin, encodeStopped } from './messages/pass.ts';
import { decodePageRequest, encodePageRequest } from './messages/postcopy.ts';
import {
  decodeSwitchover,
  decodeSwitchoverAck,
  encodeSwitchover,
  encodeSwitchoverAck,
} from './messages/switchover.ts';
import { decodePageMap, encodePageMap } from './page-map.ts';

const EPOCH = 1;

/**
 * Runs the codecs of the messages that are sent only in the pause. JavaScript is compiled when it
 * first runs: that takes milliseconds, which the guest would wait for.
 */
export function rehearseSwitch(): void {
  const section = { name: 'rehearsal', version: 1, bytes: new Uint8Array(1) };
  decodeStopped(encodeStopped({ pass: 1, lastStepMs: [0], pausedAtMs: 0 }));
  decodePassBegin(encodePassBegin({ pass: 1, dirtyPages: 0 }));
  decodeMachineState(encodeMachineState({ sections: [section] }));
  const switchover = { pages: 0, batches: 0, strictVerify: false, paused: false };
  decodeSwitchover(encodeSwitchover(switchover));
  decodeSwitchoverAck(encodeSwitchoverAck({ epoch: EPOCH, loadMs: 0 }));
  decodeGrant(encodeGrant({ epoch: EPOCH }));
  const resumed = { epoch: EPOCH, running: true, parts: {} };
  decodeResumed(encodeResumed(resumed));
  decodePostcopyResumed(encodePostcopyResumed(resumed));
  decodePageRequest(encodePageRequest({ pages: [{ block: 0, pfn: 0 }] }));
  decodeJournalPoint(encodeJournalPoint({ point: 1, pages: 0, batches: 0, ageMs: 0 }));
  decodePageMap('MISSING_MAP', encodePageMap(new Uint8Array(2), 16), 16);
}
