import { SLOT_BYTES } from '../../../guestmem/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';

/**
 * Two slots for each of three blocks, a page for each vCPU that waits, and the control messages
 * that a stalled link leaves behind until it is given up.
 */
const UNTAKEN_FRAMES_MAX = 64;

/**
 * Neither side keeps more than it can say how much of: frames that wait to go out, and memory for
 * those that come in.
 */
export class BufferCheck implements Checker {
  private readonly log: EventLog;

  constructor(log: EventLog) {
    this.log = log;
  }

  placed(hostName: string, placeBytes: number): void {
    if (placeBytes > SLOT_BYTES)
      this.log.violation(`${hostName} set aside ${placeBytes} bytes for one frame`);
  }

  saw(event: SimulationEvent): void {
    if (event.kind !== 'sends') return;
    const { channels } = event.host;
    const untaken = channels.reduce((sum, channel) => sum + channel.untakenFrames, 0);
    if (untaken > UNTAKEN_FRAMES_MAX)
      this.log.violation(`${event.host.name} keeps ${untaken} frames that nobody takes`);
  }
}
