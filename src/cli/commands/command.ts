import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';

/** What a command's action returns is the exit code of the process. */
export type Action<O> = (options: O, ...operands: string[]) => Promise<ExitCode>;

/** Adds one command to the program. `run` reports its exit code to whoever called the program. */
export type AddCommand = (program: Command, context: CliContext, run: Run) => void;

/** Runs an action inside commander and remembers its exit code. */
export type Run = (action: () => Promise<ExitCode>) => Promise<void>;
