import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SternaError } from '../../base/index.ts';
import { inShapedNamespace } from '../measuring/index.ts';
import type { Figures } from './figures.ts';
import { SHAPED_PORT } from './measure.ts';
import type { MigrationSpec } from './scenario.ts';

/** A run ends by itself long before. */
const LIMIT_MS = 400_000;

/**
 * Runs SPEC in a process and a network namespace of its own, over a link of its rate. Rejects with
 * what that process said.
 */
export async function measureOverLink(spec: MigrationSpec): Promise<Figures> {
  const program = fileURLToPath(
    // The path is the same seen from `src/` and from `dist/`.
    new URL('../../../dist/experiments/evaluation/run-main.js', import.meta.url),
  );
  const [command, flags] = inShapedNamespace(
    spec.linkBytesPerSecond ?? 0,
    [process.execPath, program, JSON.stringify(spec)],
    spec.clientsShareLink ? undefined : SHAPED_PORT,
  );
  const child = spawn(command, flags, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => errors.push(bytes));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0) return JSON.parse(Buffer.concat(output).toString()) as Figures;
  const said = Buffer.concat(errors).toString().trim();
  throw new SternaError('E_STATE', said.split('\n').at(-1) ?? 'The run ended', {
    detail: { code, said },
  });
}
