import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

/** What a figure needs to be compared with another. */
export interface Machine {
  readonly commit: string;
  /** The tree had changes that are in no commit, other than records of what was measured. */
  readonly dirty: boolean;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Mean of the last minute: processes that ran or wanted to. */
  readonly load: number;
  /** Time in ISO 8601. */
  readonly at: string;
}

/** What measuring writes. */
const RECORDS = [':!results', ':!bench/results', ':!docs'];

/** Asked once, when measuring begins: what is built does not change meanwhile, but HEAD may. */
export function describeMachine(): Machine {
  const all = cpus();
  return {
    commit: git('rev-parse', '--short', 'HEAD') ?? 'unknown',
    dirty: git('status', '--porcelain', '--', '.', ...RECORDS) !== '',
    node: process.version,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    load: loadNow(),
    at: new Date().toISOString(),
  };
}

/** Mean of the last minute: processes that ran or wanted to. */
export function loadNow(): number {
  return Number((loadavg()[0] ?? 0).toFixed(2));
}

/**
 * Why figures of this machine should not be kept now; undefined: they may be. A record that nobody
 * can repeat is worse than none.
 */
export function unfitToRecord({ dirty, load, cores }: Machine): string | undefined {
  if (dirty) return 'The tree has changes that are in no commit: commit them first';
  const loadMax = cores / 2;
  if (load <= loadMax) return undefined;
  return `The machine is busy with other work (load ${load}, at most ${loadMax}): wait`;
}

function git(...args: readonly string[]): string | undefined {
  try {
    return execFileSync('git', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
