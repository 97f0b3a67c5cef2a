import type { Clock } from '../../base/index.ts';
import type { MissingPages, Safepoint } from '../../guestmem/index.ts';
import { runToSafepoint } from '../run-to-safepoint.ts';
import { HART_STOP, type HartModule } from './hart-module.ts';
import { type HartState, NO_DEADLINE, TICKS_PER_MS } from './hart-state.ts';

/** A pause waits for a slice at most; each safepoint costs about a microsecond. */
const SLICE_MS = 0.2;
const SLICE_STEPS_START = 10_000;
const SLICE_STEPS_MAX = 1_000_000;
/** Interrupts come at multiples of this where a run is to be repeated. */
const DETERMINISTIC_STEPS = 20_000;
/** An idle guest looks up so often at least; whatever happens wakes it. */
const REST_MS_MAX = 1000;

/** What the loop needs of the devices. */
export interface HartDevices {
  /** Works off what was notified; may throw out of a wait for a page. */
  poll(): void;
  /** Something was asked that `poll` has not done yet. */
  readonly hasPendingWork: boolean;
  /** Until `poll` has something to do though nobody asks for it. */
  readonly alarmInMs: number;
  /** The guest has powered off or asked for a reset: it never runs again. */
  readonly isOff: boolean;
}

export interface HartParts {
  readonly program: HartModule;
  readonly state: HartState;
  readonly devices: HartDevices;
  readonly safepoint: Safepoint;
  readonly missing: MissingPages;
  readonly clock: Clock;
  /** Makes anew what was derived from a state, when another was loaded. */
  readonly refresh: () => void;
  readonly deterministic: boolean;
  /** Deterministic: executes no more than so many instructions; 0: no end. */
  readonly haltAt: number;
}

/** Runs a hart until it is told to end. */
export function runHart(parts: HartParts): void {
  const loop = new HartLoop(parts);
  while (parts.safepoint.enter() === 'run') {
    parts.refresh();
    loop.step();
  }
}

/** One hart: a slice at a time, its state in its area between slices. */
class HartLoop {
  private readonly parts: HartParts;
  private sliceSteps = SLICE_STEPS_START;

  constructor(parts: HartParts) {
    this.parts = parts;
  }

  /** One slice, or one rest. */
  step(): void {
    const { clock, safepoint, missing, devices } = this.parts;
    // Before anything is looked at: what comes after it ends the rest.
    const seen = safepoint.wakeNumber;
    const fromMs = clock.nowMs();
    const fromBlockedMs = missing.blockedMs;
    safepoint.beat(fromMs);
    const budget = this.budget();
    if (devices.isOff || budget === 0) return safepoint.rest(REST_MS_MAX, seen);
    if (this.isBoundary() && !runToSafepoint(() => this.lookOut())) return;
    const stopped = this.run(budget);
    const toMs = clock.nowMs();
    safepoint.beat(toMs);
    const ranMs = toMs - fromMs - (missing.blockedMs - fromBlockedMs);
    if (stopped === HART_STOP.budget) this.fit(budget, ranMs);
    // A vCPU that waits for a page has paid already.
    safepoint.endSlice(ranMs);
    if (stopped === HART_STOP.waiting && !devices.hasPendingWork) this.rest(seen);
  }

  /**
   * Whether devices and timer are looked at now. Where a run is to be repeated, only at fixed
   * counts and where the guest waits: a slice that a migration or a missing page cut goes on as if
   * it had not been cut.
   */
  private isBoundary(): boolean {
    const { deterministic, state } = this.parts;
    if (!deterministic || state.isWaiting) return true;
    return state.steps % BigInt(DETERMINISTIC_STEPS) === 0n;
  }

  private lookOut(): void {
    this.parts.devices.poll();
    this.parts.program.hartUpdateTimer();
  }

  private run(budget: number): number {
    const { program } = this.parts;
    program.hartRun(budget);
    return program.hartStopReason();
  }

  private budget(): number {
    const { deterministic, haltAt, state } = this.parts;
    if (!deterministic) return this.sliceSteps;
    // From the boundary before, wherever the last slice ended.
    const steps = Number(state.steps);
    const budget = DETERMINISTIC_STEPS - (steps % DETERMINISTIC_STEPS);
    return haltAt === 0 ? budget : Math.min(budget, Math.max(0, haltAt - steps));
  }

  /** Sizes the next slice so that it takes SLICE_MS on this host. */
  private fit(steps: number, ranMs: number): void {
    const fitting = (steps * SLICE_MS) / Math.max(ranMs, 0.001);
    const next = Math.min(Math.max(fitting, this.sliceSteps / 2), this.sliceSteps * 2);
    this.sliceSteps = Math.min(Math.max(100, Math.floor(next)), SLICE_STEPS_MAX);
  }

  /** The guest waits for an interrupt: until its timer is due, or something wakes it. */
  private rest(seen: number): void {
    const { state, safepoint, devices, deterministic } = this.parts;
    const deadline = state.timerDeadline;
    if (deterministic) return this.skip(deadline, seen);
    const nowMs = safepoint.guestClock.nowMs();
    const dueMs = Math.min(Number(deadline) / TICKS_PER_MS - nowMs, devices.alarmInMs);
    if (dueMs > 0) safepoint.rest(Math.min(dueMs, REST_MS_MAX), seen);
  }

  /** Where time is counted in instructions, none passes while the guest waits: it jumps. */
  private skip(deadline: bigint, seen: number): void {
    const { state, safepoint } = this.parts;
    if (deadline === NO_DEADLINE) safepoint.rest(REST_MS_MAX, seen);
    else state.skipTo(deadline);
  }
}
