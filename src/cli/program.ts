import { Command, CommanderError } from 'commander';
import { addCheck } from './commands/check.ts';
import type { Run } from './commands/command.ts';
import { addControlCommands } from './commands/control.ts';
import { addDemo } from './commands/demo.ts';
import { addDemoLinux } from './commands/demo-linux.ts';
import { addDestination } from './commands/destination.ts';
import { addDump } from './commands/dump.ts';
import { addHalves } from './commands/halves.ts';
import { addInfo } from './commands/info.ts';
import { addKeygen } from './commands/keygen.ts';
import { addMigrate } from './commands/migrate.ts';
import { addSet } from './commands/set.ts';
import { addSim } from './commands/sim.ts';
import { addSource } from './commands/source.ts';
import type { CliContext } from './context.ts';
import { EXIT_CODES, type ExitCode } from './exit-codes.ts';
import { describeFailure } from './failure.ts';
import { addImage } from './image/image-command.ts';
import { addPlan } from './plan/plan-command.ts';

const ADD_COMMANDS = [
  ...[addSource, addDestination, addMigrate, addPlan, addInfo, addSet],
  ...[
    addControlCommands,
    addCheck,
    addDump,
    addDemo,
    addDemoLinux,
    addSim,
    addKeygen,
    addHalves,
    addImage,
  ],
];

const EXIT_CODE_HELP = `
Exit codes: 0 done; 1 failed, the message says where the guest is; 2 wrong usage;
  3 RAM differs; 4 owner of the guest unknown; 5 post-copy without a link;
  70 defect of Sterna; 130 cancelled or interrupted.`;

/**
 * Runs one command line. Never rejects: failures become lines on standard error and an exit code.
 */
export async function runCli(
  context: CliContext,
  version: string,
  argv: readonly string[],
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODES.OK;
  const program = buildProgram(context, version, async (action) => {
    exitCode = await action();
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    // Help and version leave commander by the same door.
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT_CODES.OK;
    const failure = describeFailure(thrown, commandOf(program, argv));
    for (const line of failure.lines) context.stderr.write(`${line}\n`);
    return failure.exitCode;
  }
}

/** All commands and options; `run` gets each command's action. */
export function buildProgram(context: CliContext, version: string, run: Run): Command {
  const program = new Command('sterna')
    .description('Moves a running machine from one process to another over TCP.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      // Errors are printed in one place, in the words of describeFailure().
      outputError: () => {},
    })
    .showSuggestionAfterError()
    .addHelpText('after', EXIT_CODE_HELP);
  for (const add of ADD_COMMANDS) add(program, context, run);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

/** For `next: sterna migrate --help`; empty when there is no such command. */
function commandOf(program: Command, [name, ...rest]: readonly string[]): string {
  const command = program.commands.find((one) => one.name() === name);
  return command === undefined ? '' : `${name} ${commandOf(command, rest)}`.trim();
}
