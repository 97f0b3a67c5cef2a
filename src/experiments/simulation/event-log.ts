import { createHash, type Hash } from 'node:crypto';
import type { Clock, GuestOwner, OwnershipRecord } from '../../base/index.ts';
import type { PauseReason } from '../../guestmem/index.ts';
import type { MessageName } from '../../protocol/index.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** What is seen from outside the engines. */
export type SimulationEvent =
  | { readonly kind: 'attempt'; readonly host: SimulatedHost; readonly to: SimulatedHost }
  | {
      readonly kind: 'paused' | 'resumed';
      readonly host: SimulatedHost;
      readonly reason: PauseReason;
    }
  | { readonly kind: 'built' | 'destroyed' | 'stepped'; readonly host: SimulatedHost }
  /** A record is on disk. */
  | { readonly kind: 'recorded'; readonly host: SimulatedHost; readonly record: OwnershipRecord }
  | { readonly kind: 'refused'; readonly host: SimulatedHost; readonly what: string }
  /** Handed to the channel by an engine, or about to be handed to an engine by the channel. */
  | {
      readonly kind: 'sends' | 'receives';
      readonly host: SimulatedHost;
      readonly name: MessageName;
      readonly bytes: number;
      readonly checksum: number;
      readonly block: number;
      /** Valid only now. */
      readonly body: Uint8Array;
      readonly checkedBytes: number;
      /** Of ERROR. */
      readonly guestOwner?: GuestOwner | undefined;
    }
  /** By the word of an operator, who believes that `from` has lost it. */
  | { readonly kind: 'taken-back'; readonly host: SimulatedHost; readonly from: SimulatedHost }
  | { readonly kind: 'wrote'; readonly host: SimulatedHost; readonly pfn: number }
  | { readonly kind: 'killed' | 'restarted' | 'broke' | 'gave-up'; readonly host: SimulatedHost }
  | { readonly kind: 'note'; readonly host: SimulatedHost; readonly text: string };

/** Watches a history from outside; reports what must never be to the log. */
export interface Checker {
  saw(event: SimulationEvent): void;
}

const TAIL_LINES_MAX = 40;
/** Hashing each line by itself would take longer than everything else here. */
const LINES_PER_HASH = 256;
const VIOLATIONS_MAX = 20;

/**
 * The history as text, folded into a digest: two runs are the same exactly if their digests are.
 */
export class EventLog {
  readonly violations: string[] = [];
  private readonly clock: Clock;
  private readonly hash: Hash = createHash('sha256');
  private readonly checkers: Checker[] = [];
  private readonly lines: string[] = [];
  /** Those at the beginning of `lines` that the hash has seen. */
  private hashedLines = 0;
  private eventCount = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get events(): number {
    return this.eventCount;
  }

  /** The last events, for whoever reads a failure. */
  get tail(): readonly string[] {
    return this.lines.slice(-TAIL_LINES_MAX);
  }

  watchWith(...checkers: readonly Checker[]): void {
    this.checkers.push(...checkers);
  }

  add(event: SimulationEvent): void {
    this.eventCount += 1;
    // Steps are too many for the text; what they did shows in the checksums of the pages.
    if (event.kind !== 'stepped' && event.kind !== 'wrote')
      this.write(`${event.host.name} ${describe(event)}`);
    for (const checker of this.checkers) checker.saw(event);
  }

  /** Something that must never be. */
  violation(text: string): void {
    this.write(`VIOLATION ${text}`);
    if (this.violations.length < VIOLATIONS_MAX) {
      this.violations.push(`${this.clock.nowMs().toFixed(3)} ms: ${text}`);
    }
  }

  /** Once, at the end. */
  digest(): string {
    this.hash.update(this.lines.slice(this.hashedLines).join('\n'));
    return this.hash.digest('hex');
  }

  private write(text: string): void {
    this.lines.push(`${this.clock.nowMs().toFixed(3)} ${text}`);
    if (this.lines.length < this.hashedLines + LINES_PER_HASH) return;
    this.hash.update(`${this.lines.slice(this.hashedLines).join('\n')}\n`);
    this.lines.splice(0, this.lines.length - TAIL_LINES_MAX);
    this.hashedLines = this.lines.length;
  }
}

function describe(event: SimulationEvent): string {
  switch (event.kind) {
    case 'attempt':
      return `migrates to ${event.to.name}`;
    case 'paused':
    case 'resumed':
      return `${event.kind} ${event.reason}`;
    case 'recorded':
      return `recorded ${event.record.state} ${event.record.epoch}`;
    case 'refused':
      return `refused ${event.what}`;
    case 'sends':
    case 'receives':
      return `${event.kind} ${event.name} ${event.bytes} ${event.checksum.toString(16)}`;
    case 'taken-back':
      return `takes the guest back from ${event.from.name}`;
    case 'note':
      return event.text;
    default:
      return event.kind;
  }
}
