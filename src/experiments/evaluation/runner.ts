import type { Machine } from '../measuring/index.ts';
import type { FailedRun, Figures } from './figures.ts';
import type { RunRecord } from './record.ts';
import type { MigrationSpec, Scenario } from './scenario.ts';

export interface RunnerOptions {
  readonly smoke: boolean;
  /** Instead of what each scenario says. */
  readonly repetitions?: number;
  readonly batch: string;
  readonly machine: () => Machine;
  readonly kernelShapes: boolean;
  /** Rejects where no Linux can be had; before a run that boots one. */
  readonly prepareLinux: () => Promise<unknown>;
  /** One run over bare loopback, or over a link of the kernel. */
  readonly measure: (spec: MigrationSpec) => Promise<Figures>;
  readonly measureOverLink: (spec: MigrationSpec) => Promise<Figures>;
  /** Each run when it has ended. */
  readonly onRecord: (record: RunRecord) => void;
}

/** Runs scenarios. A run that two of them want is made once and counts for both. */
export class Runner {
  private readonly options: RunnerOptions;
  private readonly made = new Map<string, Promise<Figures | FailedRun>>();

  constructor(options: RunnerOptions) {
    this.options = options;
  }

  /** All variants by turns, so that whatever else the machine does hits all of them. */
  async run(scenario: Scenario): Promise<readonly RunRecord[]> {
    const { smoke, batch, machine, repetitions, onRecord } = this.options;
    const variants = Object.entries(scenario.variants({ smoke }));
    const records: RunRecord[] = [];
    for (let repetition = 1; repetition <= (repetitions ?? scenario.repetitions); repetition += 1) {
      for (const [variant, spec] of variants) {
        const record: RunRecord = {
          scenario: scenario.name,
          number: scenario.number,
          variant,
          repetition,
          batch,
          ...(smoke ? { smoke } : {}),
          spec,
          link: spec.linkBytesPerSecond === undefined ? 'none' : 'kernel',
          result: await this.once(spec, repetition),
          machine: machine(),
        };
        records.push(record);
        onRecord(record);
      }
    }
    return records;
  }

  private once(spec: MigrationSpec, repetition: number): Promise<Figures | FailedRun> {
    const key = `${repetition} ${JSON.stringify(spec)}`;
    const made = this.made.get(key) ?? this.measured(spec);
    this.made.set(key, made);
    return made;
  }

  private async measured(spec: MigrationSpec): Promise<Figures | FailedRun> {
    const { kernelShapes, measure, measureOverLink, prepareLinux } = this.options;
    const isShaped = spec.linkBytesPerSecond !== undefined;
    if (isShaped && !kernelShapes) {
      return { failure: 'needs a link that the kernel shapes (a network namespace and HTB)' };
    }
    try {
      if (spec.linux !== undefined) await prepareLinux();
      return await (isShaped ? measureOverLink(spec) : measure(spec));
    } catch (error) {
      return { failure: error instanceof Error ? error.message : String(error) };
    }
  }
}
