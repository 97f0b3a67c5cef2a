import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and those above it. Node's own way (`recursive`) never ends where a directory
 * exists and refuses new ones as if it did not, as `/proc` does.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await made(path)) return;
  await makeDirectory(dirname(path));
  // Still no place for it: the answer of the system is the error.
  if (!(await made(path))) await mkdir(path);
}

/** False when the directory above is missing. */
async function made(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT' && dirname(path) !== path) return false;
    if (code === 'EEXIST') return true;
    throw thrown;
  }
}
