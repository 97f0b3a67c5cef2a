import type { CodecChoice, MigrationMode, TimeoutAction } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import { readMigration } from './migration-view.ts';

/**
 * What the user asked of one migration; what is undefined stays as the agent has it (`sterna set`).
 */
export interface MigrationRequest {
  readonly uri: string;
  readonly mode: MigrationMode;
  /** MiB per second, 0 = unlimited, as virsh has it. */
  readonly bandwidthMebibytes?: number | undefined;
  readonly downtimeMs?: number | undefined;
  readonly timeoutSeconds?: number | undefined;
  readonly timeoutAction: TimeoutAction;
  readonly compression?: 'none' | 'xbzrle' | undefined;
  readonly xbzrleCacheBytes?: number | undefined;
  readonly codec?: CodecChoice | undefined;
  /** Whether post-copy may follow; `preempt`: with a connection for what vCPUs wait for. */
  readonly postcopy?: 'off' | 'on' | 'preempt' | undefined;
  /** Several connections for pages, and how many. */
  readonly parallel?: boolean | undefined;
  readonly parallelConnections?: number | undefined;
  readonly postcopyBandwidthMebibytes?: number | undefined;
  /** In mode `hybrid`. */
  readonly postcopyAfterPasses?: number | undefined;
  readonly verify?: 'after' | 'strict' | 'off' | undefined;
  /** `auto`, `clark`, `qemu`, `svard`, or the absolute path of a module. */
  readonly policy?: string | undefined;
  readonly autoConverge?: true | undefined;
  /** A directory; false: none, whatever was set before. */
  readonly postcopySpill?: string | false | undefined;
  readonly postcopyJournal?: boolean | undefined;
  /** MiB per second, 0 = unlimited. */
  readonly postcopyJournalMebibytes?: number | undefined;
  readonly postcopyJournalIntervalMs?: number | undefined;
}

/** Capabilities and parameters first, then the migration: it runs when this resolves. */
export async function startMigration(qmp: QmpClient, request: MigrationRequest): Promise<void> {
  await qmp.execute('migrate-set-capabilities', { capabilities: capabilitiesOf(request) });
  await qmp.execute('migrate-set-parameters', parametersOf(request));
  await qmp.execute('migrate', { uri: request.uri });
}

/**
 * Goes on with a migration whose link was lost; one that has its link is only followed from here
 * on.
 */
export async function resumeMigration(qmp: QmpClient, uri: string | undefined): Promise<void> {
  const { status } = readMigration(await qmp.execute('query-migrate'));
  if (status === 'postcopy-active') return;
  await qmp.execute('migrate', { resume: true, ...(uri === undefined ? {} : { uri }) });
}

interface CapabilityState {
  readonly capability: string;
  readonly state: boolean;
}

/** The argument of `migrate-set-capabilities`. */
export function capabilitiesOf(request: MigrationRequest): readonly CapabilityState[] {
  const { compression, postcopy, postcopyJournal, autoConverge, parallel } = request;
  const states: CapabilityState[] = [{ capability: 'events', state: true }];
  if (compression !== undefined) {
    states.push({ capability: 'xbzrle', state: compression === 'xbzrle' });
  }
  if (postcopy !== undefined) {
    states.push({ capability: 'postcopy-ram', state: postcopy !== 'off' });
  }
  // A plain `on` leaves it as it was set.
  if (postcopy === 'preempt' || postcopy === 'off') {
    states.push({ capability: 'postcopy-preempt', state: postcopy === 'preempt' });
  }
  if (autoConverge) states.push({ capability: 'auto-converge', state: true });
  if (parallel !== undefined) states.push({ capability: 'multifd', state: parallel });
  if (postcopyJournal !== undefined) {
    states.push({ capability: 'x-postcopy-journal', state: postcopyJournal });
  }
  return states;
}

/** The arguments of `migrate-set-parameters`. */
export function parametersOf(request: MigrationRequest): Readonly<Record<string, number | string>> {
  const { bandwidthMebibytes, downtimeMs, xbzrleCacheBytes, codec, verify } = request;
  const { postcopyBandwidthMebibytes, postcopyAfterPasses, postcopySpill } = request;
  const { parallelConnections } = request;
  return {
    // Mode and timeout belong to one migration: a retry must not inherit those of the last one
    // unseen.
    'x-mode': request.mode,
    'x-timeout': Math.round((request.timeoutSeconds ?? 0) * 1000),
    'x-timeout-action': request.timeoutAction,
    ...(bandwidthMebibytes === undefined
      ? {}
      : { 'max-bandwidth': Math.round(bandwidthMebibytes * 2 ** 20) }),
    ...(postcopyBandwidthMebibytes === undefined
      ? {}
      : { 'max-postcopy-bandwidth': Math.round(postcopyBandwidthMebibytes * 2 ** 20) }),
    ...(postcopyAfterPasses === undefined
      ? {}
      : { 'x-postcopy-after-passes': postcopyAfterPasses }),
    ...(parallelConnections === undefined ? {} : { 'multifd-channels': parallelConnections }),
    ...(downtimeMs === undefined ? {} : { 'downtime-limit': downtimeMs }),
    ...(xbzrleCacheBytes === undefined ? {} : { 'xbzrle-cache-size': xbzrleCacheBytes }),
    ...(request.policy === undefined ? {} : { 'x-policy': request.policy }),
    ...(codec === undefined ? {} : { 'x-codec': codec }),
    ...(verify === undefined ? {} : { 'x-verify': verify }),
    ...(postcopySpill === undefined ? {} : { 'x-postcopy-spill': postcopySpill || '' }),
    ...journalParametersOf(request),
  };
}

function journalParametersOf({
  postcopyJournalMebibytes: mebibytes,
  postcopyJournalIntervalMs: intervalMs,
}: MigrationRequest): Readonly<Record<string, number>> {
  return {
    ...(mebibytes === undefined
      ? {}
      : { 'x-postcopy-journal-bandwidth': Math.round(mebibytes * 2 ** 20) }),
    ...(intervalMs === undefined ? {} : { 'x-postcopy-journal-interval': intervalMs }),
  };
}
