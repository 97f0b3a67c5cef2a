import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SternaError } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import type { PlanParameters } from '../../experiments/plan/index.ts';

/** Short enough to see what a last pass of a few milliseconds would meet. */
const INTERVAL_MS = 20;

export interface RecordedGuest {
  readonly bytes: Uint8Array;
  readonly parameters: Partial<PlanParameters> & { readonly policy?: string };
}

/** The agent writes the trace where both see it: QMP is for one host. */
export async function recordGuest(qmp: QmpClient, seconds: number): Promise<RecordedGuest> {
  const directory = await mkdtemp(join(tmpdir(), 'sterna-plan-'));
  try {
    const filename = join(directory, 'guest.trace');
    const span = Math.round(seconds * 1000);
    await qmp.execute('x-record-trace-start', { filename, interval: INTERVAL_MS, span });
    for (;;) {
      const reply = (await qmp.execute('x-query-record-trace')) as Readonly<
        Record<string, unknown>
      >;
      if (reply.status === 'completed') break;
      if (reply.status === 'failed') {
        const { message } = reply.error as { readonly message: string };
        throw new SternaError('E_STATE', `The guest could not be recorded: ${message}`);
      }
    }
    return { bytes: await readFile(filename), parameters: await agentParameters(qmp) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function agentParameters(qmp: QmpClient): Promise<RecordedGuest['parameters']> {
  const values = (await qmp.execute('query-migrate-parameters')) as Readonly<
    Record<string, number | string>
  >;
  const number = (name: string) => Number(values[name] ?? 0);
  return {
    downtimeLimitMs: number('downtime-limit'),
    maxBandwidthBytesPerSecond: number('max-bandwidth'),
    maxPostcopyBandwidthBytesPerSecond: number('max-postcopy-bandwidth'),
    availSwitchoverBandwidthBytesPerSecond: number('avail-switchover-bandwidth'),
    xbzrleCacheBytes: number('xbzrle-cache-size'),
    hybrid: {
      afterPasses: number('x-postcopy-after-passes'),
      plateau: values['x-postcopy-plateau'] === 'on',
    },
    policy: String(values['x-policy'] ?? 'auto'),
  };
}
