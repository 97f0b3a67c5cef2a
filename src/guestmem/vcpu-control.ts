import { assert, type Clock, SternaError } from '../base/index.ts';
import { waitAsync } from './async-wait.ts';
import {
  BEAT_EPOCH,
  type ControlBlock,
  FAULT_SEQUENCE,
  FLIP_DONE,
  FLIP_REQUEST,
  HEARTBEAT_EPOCH,
  PAUSE_MASK,
  POSTCOPY,
  PROGRESS,
  pauseBits,
  pauseReasons,
  QUIT_BIT,
  STATE,
  THROTTLE,
  THROTTLE_BY_LIMIT,
  VCPU_STATE,
  WAKE,
} from './control-block.ts';
import { GuestClock } from './guest-clock.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { Heartbeat, PauseReason } from './machine.ts';
import type { ThrottleReason } from './throttle-slice.ts';

/**
 * Longest time for which vCPUs may owe an answer; a slice is 200 us, the rest is for a host that is
 * overloaded.
 */
const ANSWER_LIMIT_MS = 30_000;
/**
 * So long the thread itself waits: vCPUs answer within a slice, and a turn of the event loop would
 * cost the guest as much again.
 */
const BLOCK_MS = 0.5;
/** A vCPU looks at the mask within microseconds, unless the host has other work. */
const LOOK_UP_LIMIT_MS = 1000;
/** Only a net under the notifications: nothing is slower for it. */
const RECHECK_MS = 5;

/**
 * The requesting side of the control block: pause, resume and flip, from any thread that has the
 * block.
 *
 * Two rules make the races harmless (the vCPU's side is safepoint.ts):
 * - A vCPU runs guest code only after it has set its state to `running` and *then* read a pause
 *   mask of 0. So whoever has set a bit of the mask and then read `parked` knows that no guest code
 *   runs until that bit is gone, even if the vCPU was about to wake for an earlier resume: it will
 *   read the mask again and park.
 * - The log of a vCPU is flipped by the vCPU itself between two slices, or by the flipper while it
 *   holds the state `flipping`, which it can take only from `parked` and which the vCPU cannot
 *   leave. So a flip never falls between a store and its mark.
 */
export class VcpuControl {
  readonly block: ControlBlock;
  readonly guestClock: GuestClock;
  private readonly memory: GuestMemory;
  private readonly clock: Clock;

  constructor(block: ControlBlock, memory: GuestMemory, clock: Clock) {
    assert(
      memory.logCount === block.vcpuCount + 1,
      'Control block and memory are of different guests',
    );
    this.block = block;
    this.memory = memory;
    this.clock = clock;
    this.guestClock = new GuestClock(block, clock);
  }

  /**
   * Resolves when every vCPU is parked. Rejects with E_WORKER_DIED, or E_STATE when it was resumed
   * before.
   */
  async pause(reason: PauseReason): Promise<void> {
    const bit = pauseBits([reason]);
    // Pairs with the load in Safepoint.enter().
    Atomics.or(this.block.words, PAUSE_MASK, bit);
    this.wake();
    try {
      await this.until(() => {
        if ((this.mask() & bit) === 0) {
          throw new SternaError('E_STATE', 'The guest was resumed before it stood still');
        }
        return this.isParked();
      });
    } finally {
      // Not before: a vCPU that still runs would see time that is taken back by this.
      this.guestClock.follow();
    }
  }

  /** Takes the reason away; the vCPUs run when it was the last. */
  resume(reason: PauseReason): void {
    // Pairs with the load and the wait in Safepoint.
    Atomics.and(this.block.words, PAUSE_MASK, ~pauseBits([reason]));
    this.guestClock.follow();
    Atomics.notify(this.block.words, PAUSE_MASK);
  }

  /** Why the guest stands still; empty while it runs. */
  reasons(): readonly PauseReason[] {
    return pauseReasons(this.mask());
  }

  /** True when no guest code runs, and none will until a reason is taken away. */
  isParked(): boolean {
    return this.mask() !== 0 && this.everyVcpu((vcpu) => this.state(vcpu) === VCPU_STATE.parked);
  }

  /**
   * The same for who must know it for certain: a vCPU that was about to wake for an earlier resume
   * shows as running once more, until it has seen the mask. It is waited for, by this thread.
   */
  standsStill(): boolean {
    const deadlineMs = this.clock.nowMs() + LOOK_UP_LIMIT_MS;
    for (;;) {
      // Before the look: a change between the two makes the wait return at once. Pairs with
      // announceProgress().
      const seen = Atomics.load(this.block.words, PROGRESS);
      if (this.isParked()) return true;
      if (this.mask() === 0 || this.clock.nowMs() > deadlineMs) return false;
      // Pairs with the add and notify in announceProgress().
      Atomics.wait(this.block.words, PROGRESS, seen, 1);
    }
  }

  /**
   * Flips all dirty logs; resolves when every retired map is at rest. One flipper at a time, and no
   * merge while a flip is under way: a migration, and outside of one the dirty limits, which it
   * holds. The devices' log (the last) has no
   * writer of its own yet: what a device writes, a vCPU writes for it.
   */
  async flip(): Promise<void> {
    // Pairs with the load in Safepoint.acknowledgeFlip().
    const request = (Atomics.add(this.block.words, FLIP_REQUEST, 1) + 1) | 0;
    this.wake();
    this.memory.flipLog(this.block.vcpuCount);
    await this.until(() => this.everyVcpu((vcpu) => this.flipDone(vcpu, request)));
  }

  /** As the vCPUs left them; reading disturbs nobody. */
  heartbeats(): Heartbeat[] {
    // Pairs with the add in resetHeartbeats().
    const epoch = Atomics.load(this.block.words, HEARTBEAT_EPOCH);
    return Array.from({ length: this.block.vcpuCount }, (_, vcpu) => {
      // Pairs with the store in Safepoint.beat(), which follows the times: those of this window are
      // there.
      const current =
        Atomics.load(this.block.words, this.block.vcpuWord(vcpu, BEAT_EPOCH)) === epoch;
      const [first, last, gap] = this.block.beats(vcpu);
      if (
        !current ||
        first === undefined ||
        last === undefined ||
        gap === undefined ||
        first === 0
      ) {
        return { vcpu, firstStepMs: Number.NaN, lastStepMs: Number.NaN, longestGapMs: Number.NaN };
      }
      return { vcpu, firstStepMs: first, lastStepMs: last, longestGapMs: gap };
    });
  }

  /** Milliseconds for which each vCPU has run guest code. */
  busyMs(): number[] {
    // An aligned f64 is read whole on every 64-bit host.
    return Array.from({ length: this.block.vcpuCount }, (_, vcpu) => this.block.busy(vcpu)[0] ?? 0);
  }

  resetHeartbeats(): void {
    // Pairs with the load in Safepoint.beat().
    Atomics.add(this.block.words, HEARTBEAT_EPOCH, 1);
  }

  /**
   * Share of its time, 0 to 99 percent, that each vCPU (or the one) sleeps from its next safepoint
   * on.
   */
  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    assert(percent >= 0 && percent <= 99, 'A throttle is 0 to 99 percent');
    const word = reason === 'migration' ? THROTTLE : THROTTLE_BY_LIMIT;
    for (let each = 0; each < this.block.vcpuCount; each += 1) {
      if (vcpu !== undefined && each !== vcpu) continue;
      // Pairs with the load in Safepoint.endSlice().
      Atomics.store(this.block.words, this.block.vcpuWord(each, word), percent);
    }
    this.wake();
  }

  /**
   * Whether accesses must look at the received map. On: only while paused. Off: once all pages are
   * there; a vCPU goes on asking until its next safepoint, and finds them.
   */
  setPostcopy(on: boolean): void {
    // Pairs with the load in Safepoint.configureMmu().
    Atomics.store(this.block.words, POSTCOPY, on ? 1 : 0);
    this.wake();
  }

  /** Whether pages may be missing. */
  get isPostcopy(): boolean {
    // Pairs with the store in setPostcopy(), in whichever thread.
    return Atomics.load(this.block.words, POSTCOPY) !== 0;
  }

  /**
   * Said by the owner of the vCPUs when one has ended by itself: everyone who waits for it fails at
   * once.
   */
  markDead(vcpu: number): void {
    // Pairs with the load in state().
    Atomics.store(this.block.words, this.block.vcpuWord(vcpu, STATE), VCPU_STATE.dead);
    this.block.announceProgress();
  }

  /** The vCPUs end at their next safepoint, for good. */
  quit(): void {
    // Pairs with the load in Safepoint.enter().
    Atomics.or(this.block.words, PAUSE_MASK, QUIT_BIT);
    this.wake();
    Atomics.notify(this.block.words, PAUSE_MASK);
  }

  /** Resolves when every vCPU has reached its first safepoint. Rejects with E_WORKER_DIED. */
  started(): Promise<void> {
    return this.until(() => this.everyVcpu((vcpu) => this.state(vcpu) !== VCPU_STATE.starting));
  }

  /**
   * Resolves when `done` holds, which is asked after each change of a vCPU. Rejects with
   * E_WORKER_DIED.
   */
  async until(done: () => boolean, limitMs = ANSWER_LIMIT_MS): Promise<void> {
    const deadlineMs = this.clock.nowMs() + limitMs;
    const blockUntilMs = this.clock.nowMs() + BLOCK_MS;
    for (;;) {
      // Before `done`: a change between the two makes the wait return at once. Pairs with
      // announceProgress().
      const seen = Atomics.load(this.block.words, PROGRESS);
      this.refuseDeadVcpus();
      if (done()) return;
      if (this.clock.nowMs() > deadlineMs) {
        throw new SternaError('E_WORKER_DIED', 'A vCPU does not answer', {
          detail: { limitMs, states: this.states() },
        });
      }
      const blockMs = blockUntilMs - this.clock.nowMs();
      // Pairs with the add and notify in announceProgress().
      if (blockMs > 0) Atomics.wait(this.block.words, PROGRESS, seen, blockMs);
      else await this.progressAfter(seen);
    }
  }

  /** vCPUs that sleep, or wait for a page, come to their safepoint and look up. */
  wake(): void {
    // Pairs with the load and the wait in Safepoint.sleep() and rest().
    Atomics.add(this.block.words, WAKE, 1);
    Atomics.notify(this.block.words, WAKE);
    for (let vcpu = 0; vcpu < this.block.vcpuCount; vcpu += 1) {
      const sequence = this.block.vcpuWord(vcpu, FAULT_SEQUENCE);
      // Pairs with the load and the wait in MissingPages.wait().
      Atomics.add(this.block.words, sequence, 1);
      Atomics.notify(this.block.words, sequence);
    }
  }

  private async progressAfter(seen: number): Promise<void> {
    // Pairs with the add and notify in announceProgress().
    const change = waitAsync(this.block.words, PROGRESS, seen, RECHECK_MS);
    if (change === undefined) return;
    // An asynchronous wait alone does not keep a thread alive; the timer does.
    const waking = new AbortController();
    const timer = this.clock.sleep(2 * RECHECK_MS, waking.signal);
    await Promise.race([change, timer]);
    waking.abort();
  }

  private flipDone(vcpu: number, request: number): boolean {
    const { words } = this.block;
    const done = this.block.vcpuWord(vcpu, FLIP_DONE);
    const state = this.block.vcpuWord(vcpu, STATE);
    // Pairs with the store in Safepoint.acknowledgeFlip().
    if (Atomics.load(words, done) === request) return true;
    // Pairs with the compare-exchange in Safepoint.leavePark(): one of the two wins.
    const { parked, flipping } = VCPU_STATE;
    if (Atomics.compareExchange(words, state, parked, flipping) !== parked) return false;
    // It may have flipped by itself and parked since the first look.
    if (Atomics.load(words, done) !== request) {
      this.memory.flipLog(vcpu);
      Atomics.store(words, done, request);
    }
    // Not a store: the owner may have said meanwhile that the vCPU is dead. Pairs with
    // Safepoint.leavePark().
    Atomics.compareExchange(words, state, flipping, parked);
    Atomics.notify(words, state);
    return true;
  }

  private refuseDeadVcpus(): void {
    for (let vcpu = 0; vcpu < this.block.vcpuCount; vcpu += 1) {
      if (this.state(vcpu) !== VCPU_STATE.dead) continue;
      throw new SternaError('E_WORKER_DIED', `vCPU ${vcpu} has ended`, { detail: { vcpu } });
    }
  }

  private everyVcpu(holds: (vcpu: number) => boolean): boolean {
    let all = true;
    // No early end: a flip must reach every parked vCPU in one go.
    for (let vcpu = 0; vcpu < this.block.vcpuCount; vcpu += 1) if (!holds(vcpu)) all = false;
    return all;
  }

  private states(): string[] {
    const names = Object.keys(VCPU_STATE);
    return Array.from(
      { length: this.block.vcpuCount },
      (_, vcpu) => names[this.state(vcpu)] ?? '?',
    );
  }

  private state(vcpu: number): number {
    // Pairs with the stores and compare-exchanges of the state in Safepoint and here.
    return Atomics.load(this.block.words, this.block.vcpuWord(vcpu, STATE));
  }

  private mask(): number {
    // Pairs with the or/and in pause(), resume() and quit(), in whichever thread.
    return Atomics.load(this.block.words, PAUSE_MASK);
  }
}
