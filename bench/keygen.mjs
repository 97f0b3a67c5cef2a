// Keys for a bench, made as an operator would make them.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const sterna = fileURLToPath(new URL('../bin/sterna', import.meta.url));
const run = promisify(execFile);

export async function keygen(...options) {
  await run(process.execPath, [sterna, 'keygen', ...options]);
}
