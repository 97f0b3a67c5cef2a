import { readFileSync } from 'node:fs';
import { processContext } from './context.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { describeFailure } from './failure.ts';
import { runCli } from './program.ts';

/** The entry that `bin/sterna` calls. */
export async function main(): Promise<void> {
  // A reader that went away (`sterna dump FILE | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT_CODES.OK : EXIT_CODES.FAILED);
  });
  process.on('uncaughtException', crash);
  const exitCode = await runCli(processContext(), version(), process.argv.slice(2));
  // The result must be out before the process ends; handles that are still open must not keep it.
  process.stdout.write('', () => process.exit(exitCode));
}

/** A defect: say so, and stop at once. Also for rejections that nobody handles. */
function crash(error: unknown): never {
  for (const line of describeFailure(error, '').lines) process.stderr.write(`${line}\n`);
  process.exit(EXIT_CODES.BUG);
}

function version(): string {
  // The same path from `src/cli` and from `dist/cli`.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  // Our own file, which always has one.
  return (JSON.parse(text) as { version: string }).version;
}
