import { execFileSync } from 'node:child_process';

/** Workers and child processes run from `dist/`, also when vitest is called by itself. */
export function setup(): void {
  execFileSync(process.execPath, ['tools/prepare.mjs'], { stdio: 'inherit' });
}
