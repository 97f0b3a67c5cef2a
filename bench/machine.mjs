// What a figure needs to be compared with another: machine, commit, load.
import { execFileSync } from 'node:child_process';
import os from 'node:os';

function git(...args) {
  try {
    return execFileSync('git', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

export function describeMachine() {
  const [cpu] = os.cpus();
  return {
    commit: git('rev-parse', '--short', 'HEAD'),
    dirty: git('status', '--porcelain') !== '',
    node: process.version,
    cpu: cpu?.model ?? 'unknown',
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    load: os.loadavg()[0],
    at: new Date().toISOString(),
  };
}
