import { PAGE_BYTES, SternaError } from '../base/index.ts';
import type { Machine } from '../guestmem/index.ts';
import { type HelloBody, rehearseSwitch } from '../protocol/index.ts';
import type { IncomingOptions } from './incoming-contract.ts';
import type { TakeOver } from './ownership/take-over.ts';

const SUPPORTED_CAPABILITIES = [
  ...(['xbzrle', 'validate-uuid', 'postcopy-ram', 'postcopy-preempt', 'multifd'] as const),
  'x-postcopy-journal',
  'x-lz4',
  'x-postcopy-xbzrle',
];

/** Those of HELLO that this side has. */
export function agreedCapabilities(hello: HelloBody): string[] {
  return SUPPORTED_CAPABILITIES.filter((name) => hello.capabilities.includes(name));
}

/**
 * Checks HELLO before anything is allocated, records that this side prepares to take the guest, and
 * builds its machine, empty and paused. Throws what speaks against it.
 */
export async function admit(
  hello: HelloBody,
  options: IncomingOptions,
  takeOver: TakeOver,
  built: (machine: Machine) => void,
): Promise<void> {
  checkUuid(hello, options.expectedUuid);
  checkPageSize(hello);
  const { machine: description } = hello;
  const refusal = options.factory.refusal(description);
  if (refusal !== undefined) throw new SternaError(refusal.code, refusal.message);
  await takeOver.prepare(hello);
  const machine = await options.factory.create(description);
  built(machine);
  if (options.startPaused) await machine.pause('operator');
  await rehearse(machine);
}

function checkUuid(hello: HelloBody, expectedUuid: string | undefined): void {
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
