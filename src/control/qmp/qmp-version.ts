import { readFileSync } from 'node:fs';

/**
 * The QEMU whose commands, fields and defaults these are: clients decide by it what they may use.
 */
export const QMP_VERSION = { major: 10, minor: 2, micro: 2 } as const;

/** What really answers. */
export const PACKAGE = `sterna ${packageVersion()}`;

function packageVersion(): string {
  // package.json is two folders above src/control and, copied there by the build, one above
  // dist/control.
  const candidates = ['../../../package.json', '../../package.json'];
  for (const candidate of candidates) {
    try {
      const text = readFileSync(new URL(candidate, import.meta.url), 'utf8');
      return String((JSON.parse(text) as { version?: unknown }).version ?? 'unknown');
    } catch {
      // The next place.
    }
  }
  return 'unknown';
}
