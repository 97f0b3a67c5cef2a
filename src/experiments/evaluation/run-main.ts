// One run in a process of its own: `run-main.js SPEC`, a MigrationSpec as JSON. Prints the figures
// as one line of JSON, or the reason on standard error.
import { measureMigration } from './measure.ts';
import type { MigrationSpec } from './scenario.ts';

try {
  // Only link.ts starts this.
  const spec = JSON.parse(process.argv[2] ?? '') as MigrationSpec;
  process.stdout.write(`${JSON.stringify(await measureMigration(spec))}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
