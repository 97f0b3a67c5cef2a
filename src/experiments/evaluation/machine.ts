import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

/** What a figure needs to be compared with another. */
export interface Machine {
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Mean of the last minute: processes that ran or wanted to. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    commit: gitCommit(),
    node: process.version,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

function gitCommit(): string {
  try {
    const git = (...args: readonly string[]) =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return git('rev-parse', '--short', 'HEAD');
  } catch {
    return 'unknown';
  }
}
