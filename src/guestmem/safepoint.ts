import type { Clock } from '../base/index.ts';
import {
  BEAT_EPOCH,
  type ControlBlock,
  FLIP_DONE,
  FLIP_REQUEST,
  HEARTBEAT_EPOCH,
  PAUSE_MASK,
  POSTCOPY,
  QUIT_BIT,
  STATE,
  STEPS,
  THROTTLE,
  THROTTLE_BY_LIMIT,
  VCPU_STATE,
  WAKE,
} from './control-block.ts';
import { GuestClock } from './guest-clock.ts';
import type { GuestMemory } from './guest-memory.ts';
import { throttleSlice } from './throttle-slice.ts';

/** What the soft MMU must know; told at a safepoint after each flip, and when it has changed. */
export interface MmuSettings {
  /** The map that this vCPU's stores mark from now on (0 or 1). */
  readonly activeMap: number;
  readonly postcopy: boolean;
}

/** Only a net under the notifications. */
const PARK_RECHECK_MS = 1000;

/**
 * The vCPU's side of the control block: what happens between two slices of guest code, and only
 * there.
 *
 * Why the dirty log loses no write. Within a slice the vCPU's stores and its marks go to one map
 * (the active one), and when the slice ends every page that it stored to is marked there. A flip
 * happens between slices: the vCPU (or, while it is parked, the flipper in its place) switches the
 * active map and then stores FLIP_DONE; the migration reads FLIP_DONE and then the retired map.
 * Both are sequentially consistent, so each store before the flip *happens before* the migration's
 * reads, the mark as well as the bytes; and nothing is written to the retired map any more. Stores
 * after the flip are marked in the other map, which the migration does not touch until the next
 * flip retires it. A page that is written again after the flip and before it is copied may be sent
 * half new; it carries a mark in the new map, so it is sent again. The map that a vCPU begins to
 * mark was read and cleared before the flip that gave it back (merge before the next flip), or it
 * still has marks, which then are merged later: a mark is never lost, only late.
 */
export class Safepoint {
  readonly guestClock: GuestClock;
  private readonly block: ControlBlock;
  private readonly memory: GuestMemory;
  private readonly vcpu: number;
  private readonly clock: Clock;
  private readonly configure: (settings: MmuSettings) => void;
  private readonly state: number;
  private readonly flipDone: number;
  private readonly throttle: number;
  private readonly limit: number;
  private readonly beatEpoch: number;
  private readonly beats: Float64Array;
  private readonly busy: Float64Array;
  private settings: MmuSettings | undefined;
  private seenFlip = 0;
  private throttleDebtMs = 0;

  constructor(options: {
    readonly block: ControlBlock;
    readonly memory: GuestMemory;
    readonly vcpu: number;
    readonly clock: Clock;
    readonly configure: (settings: MmuSettings) => void;
  }) {
    this.block = options.block;
    this.memory = options.memory;
    this.vcpu = options.vcpu;
    this.clock = options.clock;
    this.configure = options.configure;
    this.guestClock = new GuestClock(options.block, options.clock);
    this.state = this.block.vcpuWord(this.vcpu, STATE);
    this.flipDone = this.block.vcpuWord(this.vcpu, FLIP_DONE);
    this.throttle = this.block.vcpuWord(this.vcpu, THROTTLE);
    this.limit = this.block.vcpuWord(this.vcpu, THROTTLE_BY_LIMIT);
    this.beatEpoch = this.block.vcpuWord(this.vcpu, BEAT_EPOCH);
    this.beats = this.block.beats(this.vcpu);
    this.busy = this.block.busy(this.vcpu);
  }

  /**
   * To be called before each slice. Returns when guest code may run, or says that the vCPU shall
   * end.
   */
  enter(): 'run' | 'quit' {
    const { words } = this.block;
    for (;;) {
      // Pairs with the load in VcpuControl.state(). Before the mask is read: see VcpuControl.
      if (!this.becomeRunning()) return 'quit';
      this.acknowledgeFlip();
      // Pairs with the or/and in VcpuControl.pause() and resume().
      const mask = Atomics.load(words, PAUSE_MASK);
      if (mask & QUIT_BIT) return 'quit';
      if (mask === 0) break;
      this.park(mask);
    }
    this.configureMmu();
    return 'run';
  }

  /**
   * A step of the guest was made: `stepMs` is when. Called at the beginning and at the end of each
   * slice.
   */
  beat(stepMs: number): void {
    this.note(stepMs, (sinceMs) => Math.max(this.beats[2] ?? 0, stepMs - sinceMs));
  }

  /** To be asked before the vCPU looks whether it has something to do, for `rest`. */
  get wakeNumber(): number {
    // Pairs with the add in VcpuControl.wake().
    return Atomics.load(this.block.words, WAKE);
  }

  /**
   * Waits up to `ms` where the guest itself waits for something; returns early for whatever was
   * asked or woken after `wakeNumber` was `seen`. The guest lacks nothing meanwhile, so that is no
   * gap between its steps.
   */
  rest(ms: number, seen: number): void {
    // Pairs with the add and notify in VcpuControl.wake().
    Atomics.wait(this.block.words, WAKE, seen, ms);
    this.note(this.clock.nowMs(), () => this.beats[2] ?? 0);
  }

  /** Sleeps, but answers flips at once, and returns early when the guest shall pause or end. */
  sleep(ms: number): void {
    const deadlineMs = this.clock.nowMs() + ms;
    for (;;) {
      // Before the requests are looked at: one that comes after makes the wait return at once.
      // Pairs with the add and notify in VcpuControl.wake().
      const wake = Atomics.load(this.block.words, WAKE);
      this.acknowledgeFlip();
      const leftMs = deadlineMs - this.clock.nowMs();
      if (leftMs <= 0 || Atomics.load(this.block.words, PAUSE_MASK) !== 0) return;
      Atomics.wait(this.block.words, WAKE, wake, leftMs);
    }
  }

  /**
   * After a slice of `ranMs`: counts it, and sleeps the share that a throttle asks for, a while at
   * a time.
   */
  endSlice(ranMs: number): void {
    const { words } = this.block;
    // Only this vCPU writes it, and whoever reads it needs no other word with it.
    this.busy[0] = (this.busy[0] ?? 0) + ranMs;
    // Pairs with the stores in VcpuControl.throttle().
    const percent = Math.max(Atomics.load(words, this.throttle), Atomics.load(words, this.limit));
    const { sleepMs, debtMs } = throttleSlice(this.throttleDebtMs, ranMs, percent);
    this.throttleDebtMs = debtMs;
    if (sleepMs === 0) return;
    const fromMs = this.clock.nowMs();
    this.sleep(sleepMs);
    this.throttleDebtMs = Math.max(0, debtMs - (this.clock.nowMs() - fromMs));
  }

  private note(stepMs: number, longestGapMs: (sinceMs: number) => number): void {
    const { words } = this.block;
    const { beats } = this;
    // Pairs with the add in VcpuControl.resetHeartbeats().
    const epoch = Atomics.load(words, HEARTBEAT_EPOCH);
    // Only this vCPU writes its beats; an aligned f64 is written whole on every 64-bit host.
    if (beats[0] === 0 || Atomics.load(words, this.beatEpoch) !== epoch) {
      beats[0] = stepMs;
      beats[2] = 0;
    } else {
      beats[2] = longestGapMs(beats[1] ?? stepMs);
    }
    beats[1] = stepMs;
    // After the times. Pairs with the load in VcpuControl.heartbeats().
    Atomics.store(words, this.beatEpoch, epoch);
    Atomics.add(words, this.block.vcpuWord(this.vcpu, STEPS), 1);
  }

  private becomeRunning(): boolean {
    const { words } = this.block;
    const { starting, running, dead } = VCPU_STATE;
    const before = Atomics.load(words, this.state);
    if (before === running) return true;
    if (before === dead) return false;
    if (before !== starting) return this.leavePark();
    // Pairs with the load in VcpuControl.started().
    if (Atomics.compareExchange(words, this.state, starting, running) !== starting) return false;
    this.block.announceProgress();
    return true;
  }

  private park(mask: number): void {
    const { words } = this.block;
    const { running, parked } = VCPU_STATE;
    // Pairs with VcpuControl.isParked() and flipDone(): from here on the flipper may act for this
    // vCPU.
    if (Atomics.compareExchange(words, this.state, running, parked) !== running) return;
    this.block.announceProgress();
    // Pairs with the notify in VcpuControl.resume() and quit(). Returns at once when the mask has
    // changed.
    Atomics.wait(words, PAUSE_MASK, mask, PARK_RECHECK_MS);
    // Another reason came or went: stay parked, so that nobody sees a vCPU that only looks up.
    for (
      let now = Atomics.load(words, PAUSE_MASK);
      now !== 0;
      now = Atomics.load(words, PAUSE_MASK)
    ) {
      if (now & QUIT_BIT) return;
      Atomics.wait(words, PAUSE_MASK, now, PARK_RECHECK_MS);
    }
  }

  private leavePark(): boolean {
    const { words } = this.block;
    const { running, parked, flipping, dead } = VCPU_STATE;
    for (;;) {
      // Pairs with the compare-exchange in VcpuControl.flipDone(): one of the two wins.
      const before = Atomics.compareExchange(words, this.state, parked, running);
      if (before === parked) return true;
      if (before === dead) return false;
      // Pairs with the notify at the end of VcpuControl.flipDone().
      Atomics.wait(words, this.state, flipping, 1);
    }
  }

  private acknowledgeFlip(): void {
    const { words } = this.block;
    // Pairs with the add in VcpuControl.flip().
    const request = Atomics.load(words, FLIP_REQUEST);
    if (Atomics.load(words, this.flipDone) === request) return;
    this.memory.flipLog(this.vcpu);
    // After the flip. Pairs with the load in VcpuControl.flipDone().
    Atomics.store(words, this.flipDone, request);
    this.block.announceProgress();
  }

  private configureMmu(): void {
    const { words } = this.block;
    const activeMap = this.memory.activeMap(this.vcpu);
    // Pairs with the store in VcpuControl.setPostcopy().
    const postcopy = Atomics.load(words, POSTCOPY) !== 0;
    // Pairs with the store in VcpuControl.flipDone().
    const flip = Atomics.load(words, this.flipDone);
    const { settings } = this;
    // An even number of flips while it slept or was parked gives the same map, without its marks.
    if (
      flip === this.seenFlip &&
      settings?.activeMap === activeMap &&
      settings.postcopy === postcopy
    )
      return;
    this.seenFlip = flip;
    this.settings = { activeMap, postcopy };
    this.configure(this.settings);
  }
}
