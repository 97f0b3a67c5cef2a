import type { MachineStateSection } from '../../../../guestmem/index.ts';
import {
  type BlockRegion,
  BoardBlock,
  EVENT,
  PLIC_REGION,
  QUEUE_PENDING,
  RANDOM_REGION,
  RTC_REGION,
  slotRegion,
  UART_REGION,
} from '../board-block.ts';
import { type BoardConfig, boardLines } from '../board-config.ts';
import { waitingInput } from '../serial/receiver.ts';
import type { SerialRing } from '../serial/serial-ring.ts';
import { UartState } from '../serial/uart-state.ts';
import { sealSection } from './state-sections.ts';

/** The state of a board, a few KiB. Under the lock; changes nothing. */
export function saveBoard(
  block: BoardBlock,
  config: BoardConfig,
  input: SerialRing,
): MachineStateSection[] {
  const region = ({ byte, bytes }: BlockRegion) => block.bytes.slice(byte, byte + bytes);
  const words = block.words.slice(EVENT, QUEUE_PENDING + 1);
  return [
    sealSection('board-config', Buffer.from(`${boardLines(config).join('\n')}\n`)),
    sealSection('board', Buffer.concat([new Uint8Array(words.buffer), region(RANDOM_REGION)])),
    sealSection('board-uart', uartContent(block, input)),
    sealSection('board-plic', region(PLIC_REGION)),
    sealSection('board-rtc', region(RTC_REGION)),
    sealSection(
      'board-virtio',
      Buffer.concat(config.slots.map((_, slot) => region(slotRegion(slot)))),
    ),
  ];
}

/** With the input that waits outside of the UART: it was meant for the guest. */
function uartContent(block: BoardBlock, input: SerialRing): Uint8Array {
  const copy = BoardBlock.allocate();
  copy.bytes.set(block.bytes);
  const uart = new UartState(copy);
  const waiting = waitingInput(block, uart.backlogCount, input);
  uart.backlogCount = waiting.bytes.length;
  if (waiting.isCut) uart.isOverrun = true;
  const { byte, bytes } = UART_REGION;
  return Buffer.concat([copy.bytes.subarray(byte, byte + bytes), waiting.bytes]);
}
