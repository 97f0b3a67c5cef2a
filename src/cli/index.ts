export { type CliContext, processContext, type TextOutput } from './context.ts';
export { EXIT_CODES, type ExitCode } from './exit-codes.ts';
export { main } from './main.ts';
export { buildProgram, runCli } from './program.ts';
