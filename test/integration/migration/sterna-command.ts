import { type ChildProcess, spawn } from 'node:child_process';
import { sternaExecutable } from '../../../src/experiments/index.ts';

export interface CommandRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sterna` as a script would. `started` gets the process, to send it signals. */
export function runSterna(
  argv: readonly string[],
  started?: (child: ChildProcess) => void,
): Promise<CommandRun> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [sternaExecutable(), ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
    started?.(child);
  });
}
