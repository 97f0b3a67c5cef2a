import { readFile } from 'node:fs/promises';
import { defaultParameters, POLICY_NAMES, SternaError } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import type { Plan, PlanLink, PlanParameters } from '../../experiments/plan/index.ts';
import { type LinkOptions, linkOf, mustProbe, probeLink } from './plan-link.ts';
import { type RecordedGuest, recordGuest } from './recorded-guest.ts';

/** What the user wants other than the agent has it. */
export interface PlanWishes {
  readonly link: LinkOptions;
  /** Length of the recording. */
  readonly seconds: number;
  /** A recorded guest instead of the one of the agent. */
  readonly trace?: string | undefined;
  readonly policy?: string | undefined;
  readonly parameters?: Partial<PlanParameters>;
  /** The cache is the one that the user wants. */
  readonly isCacheFixed?: boolean;
}

/** Looks at the link and at the guest, and simulates. `qmp`: where either is asked for. */
export async function planGuest(qmp: QmpClient | undefined, wishes: PlanWishes): Promise<Plan> {
  const { found, link } = await lookAround(qmp, wishes);
  // Only a plan needs the engines; other commands start faster without them.
  const { decodeTrace, makePlan, planParametersOf } = await import(
    '../../experiments/plan/index.ts'
  );
  const agent = found.parameters ?? defaultParameters();
  const policy = wishes.policy ?? agent.policy;
  const policyModule = POLICY_NAMES.includes(policy) ? undefined : await userPolicy(policy);
  try {
    return await makePlan({
      trace: decodeTrace(found.bytes),
      link,
      parameters: { ...planParametersOf(agent), ...wishes.parameters },
      policy,
      ...(policyModule === undefined ? {} : { policyModule }),
      isCacheFixed: wishes.isCacheFixed ?? false,
    });
  } finally {
    policyModule?.close();
  }
}

export async function readTrace(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new SternaError('E_FILE', 'File could not be read', { detail: { path }, cause });
  }
}

/** One after the other: the probe would be seen in the trace. */
async function lookAround(
  qmp: QmpClient | undefined,
  { link: options, seconds, trace }: PlanWishes,
): Promise<{ readonly found: RecordedGuest; readonly link: PlanLink }> {
  const read = trace === undefined ? undefined : await readTrace(trace);
  const { to = '' } = options;
  const measured = qmp && mustProbe(options) ? await probeLink(qmp, to) : undefined;
  const link = linkOf(options, measured);
  if (link === undefined) {
    throw new SternaError('E_CONFIG_INVALID', 'A plan needs to know what the link carries');
  }
  if (read !== undefined) return { found: { bytes: read, parameters: undefined }, link };
  if (qmp === undefined) throw new SternaError('E_CONFIG_INVALID', 'A plan needs a guest');
  return { found: await recordGuest(qmp, seconds), link };
}

/** In a thread of its own, as in a migration. */
async function userPolicy(path: string) {
  const { UserPolicy } = await import('../../control/index.ts');
  return new UserPolicy(path);
}
