import type { Figures } from './figures.ts';
import type { Verdict } from './judge.ts';

/** What a client of the guest does, and how long it is watched before the guest moves. */
export type ClientSpec =
  | {
      readonly kind: 'stream';
      readonly framesPerSecond: number;
      readonly bufferMs: number;
    }
  | {
      readonly kind: 'erp';
      readonly sessions: number;
      readonly thinkMs: number;
      /** A session whose transaction takes longer dies. */
      readonly limitMs: number;
    };

/** A Debian on the RISC-V machine, whose console is watched. */
export interface LinuxSpec {
  /** The script that it runs, which prints `load N ok`. */
  readonly init: string;
}

/** One migration between two agents; plain data, so that it may run in a process of its own. */
export interface MigrationSpec {
  readonly ram: string;
  /** A SPEC of a workload; or it is a Linux. */
  readonly workload?: string;
  readonly linux?: LinuxSpec;
  readonly vcpus?: number;
  /** A link of that rate that the kernel shapes; undefined: bare loopback. */
  readonly linkBytesPerSecond?: number;
  /** Whether the guest's clients share that link; else only the migration uses it. */
  readonly clientsShareLink?: boolean;
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** Capabilities that are on. */
  readonly capabilities?: readonly string[];
  readonly client?: ClientSpec;
}

/** All runs of a variant, in the order in which they were made. */
export type RunsOf = (variant: string) => readonly Figures[];

export interface ScenarioSize {
  readonly smoke: boolean;
}

/** One row of the evaluation. */
export interface Scenario {
  /** In the list of scenarios, docs/evaluation.md. */
  readonly number: number;
  /** What `npm run experiments -- NAME` takes. */
  readonly name: string;
  readonly title: string;
  /** The publication whose figure is reproduced. */
  readonly source: string;
  /** What it says, or that it gives no figure. */
  readonly published: string;
  /** What has to be so for the row to hold. */
  readonly criterion: string;
  /** Names of variants: what is compared with what. */
  readonly baseline: string;
  readonly improved: string;
  /** The setting in one line. */
  readonly settings: string;
  /** How often each variant runs, unless the command line says otherwise. */
  readonly repetitions: number;
  /** Each variant in the order in which they run, by turns in each repetition. */
  variants(size: ScenarioSize): Readonly<Record<string, MigrationSpec>>;
  judge(runs: RunsOf): Verdict;
}
