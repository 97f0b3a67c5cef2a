import type { MachineStateSection } from '../../../../guestmem/index.ts';
import {
  BACKLOG_REGION,
  BoardBlock,
  EVENT,
  EVENT_DETAIL,
  LOCK,
  PLIC_REGION,
  QUEUE_PENDING,
  QUEUES_PER_SLOT,
  RANDOM_REGION,
  RTC_REGION,
  SLOT_BYTES,
  slotRegion,
  UART_REGION,
} from '../board-block.ts';
import { type BoardConfig, boardLines } from '../board-config.ts';
import { EVENT_KINDS } from '../board-event.ts';
import { Devices } from '../devices.ts';
import { plicDefect } from '../plic.ts';
import { rtcDefect } from '../rtc.ts';
import { SerialRing } from '../serial/serial-ring.ts';
import { uartDefect } from '../serial/uart-state.ts';
import { SlotState, slotWordsDefect } from '../virtio/slot-state.ts';
import { slotDefect } from '../virtio/transport.ts';
import { openSections, type SectionName, stateError } from './state-sections.ts';

const CONFIG_BYTES_MAX = 4096;
const EXIT_CODE_MAX = 0xffff;
const EVENT_FAIL = 3;

/**
 * Takes a saved board over: it came from a peer, so every word is looked at, in a block of its own,
 * before anything is changed. Under the lock. Throws E_MACHINE_STATE, naming section and defect.
 */
export function loadBoard(
  block: BoardBlock,
  config: BoardConfig,
  sections: readonly MachineStateSection[],
): void {
  const contents = openSections(sections);
  const content = (name: SectionName) => contents.get(name) ?? new Uint8Array(0);
  checkConfig(config, content('board-config'));
  const incoming = BoardBlock.allocate();
  placeBoard(incoming, config, content('board'));
  const backlogBytes = placeUart(incoming, content('board-uart'));
  place(incoming, 'board-plic', PLIC_REGION.byte, content('board-plic'), PLIC_REGION.bytes);
  place(incoming, 'board-rtc', RTC_REGION.byte, content('board-rtc'), RTC_REGION.bytes);
  const slotsBytes = config.slots.length * SLOT_BYTES;
  place(incoming, 'board-virtio', slotRegion(0).byte, content('board-virtio'), slotsBytes);
  complain('board-uart', uartDefect(incoming.region(UART_REGION), backlogBytes));
  complain('board-rtc', rtcDefect(incoming.region(RTC_REGION)));
  checkDevices(incoming, config);
  // The lock is ours, and stays held.
  block.bytes.set(incoming.bytes.subarray((LOCK + 1) * 4), (LOCK + 1) * 4);
}

function checkConfig(config: BoardConfig, content: Uint8Array): void {
  if (content.length > CONFIG_BYTES_MAX) throw stateError('Section board-config is too long');
  const ours = boardLines(config);
  const theirs = Buffer.from(content).toString('utf8').split('\n');
  if (theirs.pop() !== '') throw stateError('Section board-config has no end');
  for (let line = 0; line < Math.max(ours.length, theirs.length); line += 1) {
    if (ours[line] === theirs[line]) continue;
    const [here, there] = [ours[line], theirs[line]].map((text) =>
      text === undefined ? 'nothing' : JSON.stringify(text.slice(0, 120)),
    );
    throw stateError(`The state is of another board: it has ${there}, this one ${here}`);
  }
}

function placeBoard(incoming: BoardBlock, config: BoardConfig, content: Uint8Array): void {
  const headBytes = (QUEUE_PENDING - EVENT + 1) * 4;
  const bytes = headBytes + RANDOM_REGION.bytes;
  // The three words and the random state lie side by side in the block, too.
  place(incoming, 'board', EVENT * 4, content, bytes);
  const { words } = incoming;
  const [event, detail] = [words[EVENT] ?? 0, words[EVENT_DETAIL] ?? 0];
  if (event >= EVENT_KINDS || detail > EXIT_CODE_MAX || (event !== EVENT_FAIL && detail !== 0)) {
    throw stateError('Section board has an impossible event');
  }
  const isSeeded = incoming.region(RANDOM_REGION).some((word) => word !== 0);
  if (isSeeded !== (config.randomSeed !== undefined)) {
    throw stateError('Section board has an impossible random state');
  }
}

/** Returns the length of the backlog. */
function placeUart(incoming: BoardBlock, content: Uint8Array): number {
  const backlogBytes = content.length - UART_REGION.bytes;
  if (backlogBytes < 0 || backlogBytes > BACKLOG_REGION.bytes) {
    throw stateError(`Section board-uart has an impossible length of ${content.length} bytes`);
  }
  incoming.bytes.set(content.subarray(0, UART_REGION.bytes), UART_REGION.byte);
  incoming.bytes.set(content.subarray(UART_REGION.bytes), BACKLOG_REGION.byte);
  return backlogBytes;
}

function place(
  incoming: BoardBlock,
  name: SectionName,
  byte: number,
  content: Uint8Array,
  bytes: number,
): void {
  if (content.length !== bytes) {
    throw stateError(`Section ${name} has ${content.length} bytes, not ${bytes}`);
  }
  incoming.bytes.set(content, byte);
}

/** What each device's state must be, and that they agree with each other. */
function checkDevices(incoming: BoardBlock, config: BoardConfig): void {
  const devices = new Devices({
    block: incoming,
    config,
    input: SerialRing.allocate(1),
    output: SerialRing.allocate(1),
    mips: Array.from({ length: config.hartCount }, () => ({ words: new Int32Array(1), index: 0 })),
    drives: new Map(),
    wake: () => {},
    wallClock: () => 0,
  });
  let queues = 0;
  for (const [slot, { device }] of devices.transports.entries()) {
    if (device === undefined) continue;
    const words = incoming.region(slotRegion(slot));
    const defect =
      slotWordsDefect(words) ?? slotDefect(new SlotState(incoming, slot), device, config.ramBytes);
    complain('board-virtio', defect, `device ${slot} with `);
    queues |= ((1 << device.queueCount) - 1) << (slot * QUEUES_PER_SLOT);
  }
  if (((incoming.words[QUEUE_PENDING] ?? 0) & ~queues) !== 0) {
    throw stateError('Section board has a request to a queue that does not exist');
  }
  const plic = incoming.region(PLIC_REGION);
  const { lines, levels } = devices;
  complain('board-plic', plicDefect(plic, config.hartCount, lines, levels));
}

function complain(name: SectionName, defect: string | undefined, prefix = ''): void {
  if (defect !== undefined) throw stateError(`Section ${name} has ${prefix}${defect}`);
}
