import type { BoardEvents } from './board-event.ts';

const POWER_OFF = 0x5555;
const RESET = 0x7777;
const FAIL = 0x3333;

/**
 * The test finisher: a guest writes a word to its first register and stops. The device tree tells
 * Linux to power off and to reboot by it.
 */
export class Finisher {
  private readonly events: BoardEvents;

  constructor(events: BoardEvents) {
    this.events = events;
  }

  write(offset: number, value: number): void {
    if (offset !== 0) return;
    const command = value & 0xffff;
    if (command === POWER_OFF) this.events.raise({ kind: 'power-off' });
    else if (command === RESET) this.events.raise({ kind: 'reset' });
    else if (command === FAIL) this.events.raise({ kind: 'fail', exitCode: value >>> 16 });
  }
}
