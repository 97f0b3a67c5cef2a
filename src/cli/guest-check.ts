import type { QmpClient } from '../control/client/index.ts';
import { Fields } from './migration/fields.ts';

export interface GuestCheck {
  readonly ok: boolean;
  readonly pages: number;
  readonly problems: readonly string[];
}

/**
 * Lets the guest's own program check its invariants. The guest stands still meanwhile, and runs
 * again if it ran.
 */
export async function checkGuest(qmp: QmpClient): Promise<GuestCheck> {
  const status = new Fields(await qmp.execute('query-status'));
  const wasRunning = status.flag('running');
  if (wasRunning) await qmp.execute('stop');
  try {
    return readCheck(await qmp.execute('x-check-guest'));
  } finally {
    if (wasRunning) await qmp.execute('cont');
  }
}

/** As one line for a person. */
export function describeCheck({ ok, pages, problems }: GuestCheck): string {
  if (ok) return `The workload finds its memory as it must be: ${pages} pages`;
  return `The workload finds its memory damaged: ${problems.join('; ')}`;
}

function readCheck(reply: unknown): GuestCheck {
  const fields = new Fields(reply);
  return {
    ok: fields.flag('ok'),
    pages: fields.count('pages'),
    problems: fields.list('problems').map(String),
  };
}
