import { SternaError } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import type { ActualMigration } from '../../experiments/plan/index.ts';
import { type MigrationView, readMigration } from '../migration/migration-view.ts';

/**
 * What the last migration of the agent took, and which row of a plan it was. Throws E_STATE when
 * none has completed.
 */
export async function actualMigration(qmp: QmpClient): Promise<ActualMigration> {
  const view = readMigration(await qmp.execute('query-migrate'));
  const { status, mode, downtimeMs, totalTimeMs, ram } = view;
  if (status !== 'completed' || downtimeMs === undefined) {
    throw new SternaError('E_STATE', 'No migration of this agent has completed', {
      detail: { status },
    });
  }
  const [parameters, capabilities] = await Promise.all([
    qmp.execute('query-migrate-parameters'),
    qmp.execute('query-migrate-capabilities'),
  ]);
  const isOn = (name: string) =>
    (capabilities as readonly { capability: string; state: boolean }[]).some(
      ({ capability, state }) => capability === name && state,
    );
  const { 'x-codec': choice = 'none' } = parameters as Readonly<Record<string, string>>;
  return {
    mode,
    codec: codecOf(view, choice !== 'none'),
    slowing: slowingOf(mode, isOn),
    totalMs: totalTimeMs,
    downtimeMs,
    wireBytes: ram.transferredBytes,
  };
}

function codecOf({ xbzrle }: MigrationView, lz4: boolean): string {
  if (xbzrle === undefined) return lz4 ? 'lz4' : 'raw';
  return lz4 ? 'xbzrle+lz4' : 'xbzrle';
}

/** They slow a guest in pre-copy alone. */
function slowingOf(mode: string, isOn: (capability: string) => boolean): string {
  if (mode !== 'precopy') return 'none';
  if (isOn('auto-converge')) return 'auto-converge';
  return isOn('dirty-limit') ? 'dirty-limit' : 'none';
}
