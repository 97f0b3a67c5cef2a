import { PAGE_BYTES } from '../../src/base/index.ts';
import type { FrameFate } from '../../src/channel/index.ts';
import { EnginePair, type PairOptions, type SentFrame } from './engine-pair.ts';
import type { FakeMachine } from './fake-machine.ts';
import { fillGuest } from './guest-script.ts';

const FILLED_PAGES = 120;

/** RAM of every block, as bytes. */
export type RamCopy = readonly Buffer[];

/** What the guest was at a point: its RAM with the source's where the destination has none. */
export interface PointCopy {
  readonly ram: RamCopy;
  /** The flip that FakeMachine saves as its state. */
  readonly flip: number;
}

export interface JournalPairOptions {
  readonly onFrame?: (frame: SentFrame) => FrameFate | undefined;
  readonly parameters?: PairOptions['parameters'];
  /** Pages that the guest changes before each flip and pause. */
  readonly dirtyPages?: number;
  readonly capabilities?: PairOptions['capabilities'];
  readonly sourceLedger?: PairOptions['sourceLedger'];
  /** There is a way to further connections. */
  readonly connect?: PairOptions['connect'];
  /** Called when the guest is about to stand still for a point, which waits for it. */
  readonly beforeCheckpoint?: (machine: FakeMachine) => void | Promise<void>;
}

/**
 * Both engines in post-copy, with a journal. The guest at the destination changes pages that it
 * has, all the time; a copy of the whole guest is made at each of its points.
 */
export class JournalPair {
  readonly pair: EnginePair;
  readonly points: PointCopy[] = [];
  /** The source's RAM at the switch. */
  readonly atSwitch: RamCopy;
  private stores = 0;
  private readonly dirtyPages: number;

  constructor(options: JournalPairOptions = {}) {
    this.dirtyPages = options.dirtyPages ?? 20;
    this.pair = new EnginePair({
      link: { bandwidthBytesPerSecond: 20e6, latencyMs: 0.1 },
      ...(options.connect === undefined ? {} : { connect: options.connect }),
      capabilities: { 'x-postcopy-journal': true, ...options.capabilities },
      parameters: {
        mode: 'postcopy',
        maxPostcopyBandwidthBytesPerSecond: 1e6,
        postcopyJournalIntervalMs: 110,
        ...options.parameters,
      },
      destinationHooks: {
        beforeFlip: (machine) => this.write(machine),
        beforePause: (machine, reason) => {
          if (reason !== 'checkpoint') return undefined;
          this.write(machine);
          this.notePoint(machine);
          return options.beforeCheckpoint?.(machine);
        },
      },
      onFrame: (frame) => options.onFrame?.(frame),
      ...(options.sourceLedger === undefined ? {} : { sourceLedger: options.sourceLedger }),
    });
    fillGuest(this.pair.machine, FILLED_PAGES);
    this.atSwitch = ramOf(this.pair.machine);
  }

  /** Runs until the source is in `status`, or is over. */
  async runUntil(status: string): Promise<void> {
    const { clock, outgoing, incoming } = this.pair;
    void outgoing.run();
    void incoming.run();
    const over = [status, 'completed', 'failed', 'cancelled'];
    const reached = async () => {
      while (!over.includes(outgoing.info().status)) await clock.sleep(0.5);
    };
    await clock.runUntil(reached(), 60_000);
  }

  /** Points that the source has applied. */
  get applied(): number {
    return this.pair.outgoing.info().postcopy?.journal?.points ?? 0;
  }

  /** Which of the points the frozen guest at the source is; -1: the switch; undefined: none. */
  pointAtSource(): number | undefined {
    const { machine } = this.pair;
    const ram = ramOf(machine);
    const flip = machine.loaded?.sections[0]?.bytes[3];
    if (flip === undefined && isSame(ram, this.atSwitch)) return -1;
    const found = this.points.findLastIndex((point) => isSame(ram, point.ram));
    return found >= 0 && this.points[found]?.flip === flip ? found : undefined;
  }

  private write(machine: FakeMachine): void {
    if (!this.isPostcopy) return;
    let left = this.dirtyPages;
    for (let index = 0; index < FILLED_PAGES && left > 0; index += 1) {
      const pick = (index * 7 + this.stores) % FILLED_PAGES;
      const [block, pfn] = pick % 3 === 0 ? [0, 5 + pick] : [1, 64 + pick * 5];
      if (!machine.block(block).isReceived(pfn)) continue;
      this.stores += 1;
      left -= 1;
      // Now and then a page becomes zero.
      const content = new Uint8Array(PAGE_BYTES).fill(this.stores % 5 === 0 ? 0 : this.stores);
      machine.write(block, pfn, 0, content);
    }
  }

  private notePoint(machine: FakeMachine): void {
    const ram = machine.memory.blocks.map((block, index) => {
      const copy = Buffer.from(block.ram);
      for (let pfn = 0; pfn < block.layout.pageCount; pfn += 1) {
        if (block.isReceived(pfn)) continue;
        const at = pfn * PAGE_BYTES;
        this.atSwitch[index]?.copy(copy, at, at, at + PAGE_BYTES);
      }
      return copy;
    });
    // One more flip follows, in the pause.
    this.points.push({ ram, flip: machine.flipCount + 1 });
  }

  private get isPostcopy(): boolean {
    return this.pair.incoming.info().status.startsWith('postcopy');
  }
}

function ramOf(machine: FakeMachine): RamCopy {
  return machine.memory.blocks.map((block) => Buffer.from(block.ram));
}

function isSame(first: RamCopy, second: RamCopy): boolean {
  return first.every((ram, index) => second[index]?.equals(ram));
}
