import { SSIP } from '../address-map.ts';
import type { MipWord } from '../plic.ts';
import {
  maskedHarts,
  SBI_ALREADY_AVAILABLE,
  SBI_FAILED,
  SBI_INVALID_PARAMETER,
  SBI_NOT_SUPPORTED,
  type SbiHart,
  type SbiReply,
  sbiError,
  sbiSuccess,
} from './sbi-call.ts';

const START = 0n;
const STOP = 1n;
const STATUS = 2n;
const SUSPEND = 3n;
const STARTED = 0n;
const SUSPEND_RETENTIVE = 0n;
const SUSPEND_NON_RETENTIVE = 0x8000_0000n;

/** remote_fence_i, remote_sfence_vma, remote_sfence_vma_asid; those of a hypervisor follow. */
const FENCE_LAST = 2n;

/** TIME, IPI, RFENCE and HSM: what harts ask of each other and of their timers. */
export class HartCalls {
  private readonly mips: readonly MipWord[];
  private readonly wake: (hart: number) => void;

  constructor(mips: readonly MipWord[], wake: (hart: number) => void) {
    this.mips = mips;
    this.wake = wake;
  }

  timer(functionId: bigint, hart: SbiHart): SbiReply | undefined {
    if (functionId !== 0n) return undefined;
    hart.setTimer(hart.argument(0));
    return sbiSuccess();
  }

  interrupt(functionId: bigint, caller: SbiHart): SbiReply | undefined {
    if (functionId !== 0n) return undefined;
    const harts = maskedHarts(caller, this.mips.length);
    if (harts === undefined) return sbiError(SBI_INVALID_PARAMETER);
    for (const hart of harts) {
      const mip = this.mips[hart];
      if (mip === undefined) continue;
      // Pairs with the atomic loads of `mip` in the hart, which clears the bit itself.
      Atomics.or(mip.words, mip.index, SSIP);
      this.wake(hart);
    }
    return sbiSuccess();
  }

  /** The caller fences itself, by the outcome. Nobody else can be made to: there is one hart. */
  fence(functionId: bigint, caller: SbiHart): SbiReply | undefined {
    if (functionId > FENCE_LAST) return undefined;
    const harts = maskedHarts(caller, this.mips.length);
    if (harts === undefined) return sbiError(SBI_INVALID_PARAMETER);
    if (harts.some((hart) => hart !== caller.hart)) return sbiError(SBI_NOT_SUPPORTED);
    return sbiSuccess(0n, harts.length > 0 ? 'flush' : 'done');
  }

  /** Every hart runs from the start on: there is one. */
  state(functionId: bigint, caller: SbiHart): SbiReply | undefined {
    const isKnown = caller.argument(0) < BigInt(this.mips.length);
    switch (functionId) {
      case START:
        return sbiError(isKnown ? SBI_ALREADY_AVAILABLE : SBI_INVALID_PARAMETER);
      case STOP:
        // Nobody could start it again.
        return sbiError(SBI_FAILED);
      case STATUS:
        return isKnown ? sbiSuccess(STARTED) : sbiError(SBI_INVALID_PARAMETER);
      case SUSPEND:
        return this.suspend(BigInt.asUintN(32, caller.argument(0)));
      default:
        return undefined;
    }
  }

  /** A hart that wakes at once has been suspended well; it waits by WFI. */
  private suspend(type: bigint): SbiReply {
    if (type === SUSPEND_RETENTIVE) return sbiSuccess();
    return sbiError(type === SUSPEND_NON_RETENTIVE ? SBI_NOT_SUPPORTED : SBI_INVALID_PARAMETER);
  }
}
