import { closeSync, fsyncSync, openSync } from 'node:fs';

/** A file that is new, or has a new name, is durable only when its directory is. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
