import { silentLogger, systemClock } from '../../../base/index.ts';
import { ChosenPolicy, Interrupt, type PolicyModule } from '../../../source/index.ts';

/** The policy of a plan, as a migration asks it. */
export type AskedPolicy = Pick<ChosenPolicy, 'begin' | 'decide'>;

/**
 * The engine's own way to a policy: one that is built in, or a user's in its thread, which is
 * replaced by `auto` when it is of no use.
 */
export function askedPolicy(name: string, module: PolicyModule | undefined): ChosenPolicy {
  const interrupt = new Interrupt(systemClock());
  return new ChosenPolicy({ name, module, enabled: [], interrupt, log: silentLogger() });
}
