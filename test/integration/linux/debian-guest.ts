import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { LinuxImage } from '../../../src/experiments/index.ts';
import {
  expectNoEnd,
  instructions,
  prints,
  type TestGuest,
  whileItRuns,
} from '../migration/test-guest.ts';
import { LINUX_LIMIT_MS } from './linux-stage.ts';

/** What the console of a sound one never has. */
export const FAILURES =
  /BAD|Oops|BUG:|Call Trace|unhandled signal|segfault|rcu_.*stall|clocksource.*skew/;
const ROUND = /^load \d+ ok/gm;

/** A Debian in which sqlite works without rest and checks what it has done, for all fault tests. */
export function debianGuest({ kernel, initrd }: LinuxImage): TestGuest {
  return {
    name: 'Debian',
    isMissing: false,
    sourceArguments: () => [
      ...['--machine', 'virt-riscv64', '--ram', '256M', '--kernel', kernel, '--initrd', initrd],
      ...['--append', 'console=ttyS0 sterna_init=sqlite-load sqlite_batch=50'],
    ],
    hostArguments: (consoleFile) => ['--serial', `file:${consoleFile}`],
    isAtWork: (place) => prints(place, ROUND, 1, LINUX_LIMIT_MS),
    steps: instructions,
    check: (place) =>
      whileItRuns(place, async () => {
        // One of them may have begun before.
        await prints(place, ROUND, 2, LINUX_LIMIT_MS);
        expect(readFileSync(place.consoleFile, 'latin1')).not.toMatch(FAILURES);
      }),
    checkTorn: expectNoEnd,
  };
}
