/**
 * A device's way to the guest's RAM, by guest-physical address. Whoever runs the vCPU implements
 * it. Every call waits until the pages that it needs have come, and may throw out of that wait when
 * the vCPU is called to its safepoint; the caller then repeats all of its work later. So a device
 * first asks for everything that a request touches with `ensure`, and only then does it.
 *
 * All calls throw {@link DmaFault} when any byte lies outside of RAM, before they do anything.
 */
export interface GuestRam {
  /** A view or a copy; it is not kept beyond the next call. */
  read(gpa: number, length: number): Uint8Array;
  /** Copies, and marks the pages dirty. */
  write(gpa: number, bytes: Uint8Array): void;
  /** Returns when all pages of the range are there. `willWrite` says what comes next. */
  ensure(gpa: number, length: number, willWrite: boolean): void;
}

/** A device was sent outside of RAM by the guest. */
export class DmaFault extends Error {
  override readonly name = 'DmaFault';
  readonly gpa: number;

  constructor(gpa: number) {
    super(`Guest-physical address 0x${gpa.toString(16)} is not in RAM`);
    this.gpa = gpa;
  }
}
