import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkParameter, MIGRATION_CAPABILITIES, parseBytes } from '../../../../src/base/index.ts';
import { SCENARIOS } from '../../../../src/experiments/evaluation/index.ts';
import { checkWorkloadFits, parseWorkloadSpec } from '../../../../src/guest/index.ts';

const runnable = SCENARIOS;

const INIT_SCRIPTS = readdirSync(new URL('../../../../src/cli/image/init/', import.meta.url));

describe('settings of scenarios', () => {
  it.each(
    runnable.flatMap((scenario) => [
      { name: scenario.name, scenario, smoke: false },
      { name: `${scenario.name} (smoke)`, scenario, smoke: true },
    ]),
  )('$name: agents take them', ({ scenario, smoke }) => {
    const variants = Object.values(scenario.variants({ smoke }));
    expect(variants.length).toBeGreaterThan(0);
    for (const spec of variants) {
      const { ram, workload, linux, vcpus, parameters = {}, capabilities = [] } = spec;
      expect([workload, linux].filter((guest) => guest !== undefined).length).toBe(1);
      if (workload !== undefined) {
        checkWorkloadFits(parseWorkloadSpec(workload), parseBytes(ram), vcpus);
      }
      if (linux !== undefined) expect(INIT_SCRIPTS).toContain(`${linux.init}.sh`);
      for (const [name, value] of Object.entries(parameters)) checkParameter(name, value);
      for (const name of capabilities) expect(MIGRATION_CAPABILITIES).toHaveProperty(name);
    }
  });

  it('names are unique, and what is compared is there', () => {
    const names = SCENARIOS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, baseline, improved, variants } of runnable) {
      const known = Object.keys(variants({ smoke: false }));
      // Some compare groups of variants, and name the word that these share.
      for (const word of `${baseline}; ${improved}`.split('; ').filter((part) => part !== '')) {
        const isKnown = known.some((variant) => variant.includes(word.replace('-', '')));
        expect(isKnown, `${name}: ${word}`).toBe(true);
      }
    }
  });
});
