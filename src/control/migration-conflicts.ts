import {
  isPostcopy,
  type MigrationCapabilities,
  type MigrationInfo,
  type MigrationParameters,
  SternaError,
} from '../base/index.ts';
import { parseAddress } from '../channel/index.ts';

/** What does not go together, in the words of QEMU where it has words for it. */

/** Throws E_CONFIG_INVALID. */
export function refuseCapabilities(capabilities: MigrationCapabilities): void {
  if (capabilities['dirty-limit'] && capabilities['auto-converge']) {
    const text = 'dirty-limit conflicts with auto-converge: either of the two slows the guest';
    throw new SternaError('E_CONFIG_INVALID', text);
  }
  if (!capabilities['postcopy-preempt'] || capabilities['postcopy-ram']) return;
  throw new SternaError('E_CONFIG_INVALID', 'Postcopy preempt requires postcopy-ram');
}

/** Parameters that are in their ranges each. Throws E_CONFIG_INVALID. */
export function refuseParameters(parameters: MigrationParameters): void {
  const { cpuThrottleInitialPercent: initial, maxCpuThrottlePercent: max } = parameters;
  if (max >= initial) return;
  const text = `Parameter 'max-cpu-throttle' expects an integer from cpu-throttle-initial (${initial}) to 99 %`;
  throw new SternaError('E_CONFIG_INVALID', text, { detail: { value: max } });
}

/** At once, and not when the destination has been reached. Throws E_CONFIG_INVALID. */
export function refuseMigration(
  uri: string,
  { mode, verify }: MigrationParameters,
  capabilities: MigrationCapabilities,
): void {
  const isFile = parseAddress(uri).kind === 'file';
  if (capabilities.multifd && isFile) {
    const text = 'A file has one stream: multifd needs a destination';
    throw new SternaError('E_CONFIG_INVALID', text, { detail: { multifd: true, uri } });
  }
  const impliesPostcopy = mode === 'postcopy' || mode === 'hybrid';
  if (!impliesPostcopy && !capabilities['postcopy-ram']) return;
  const setting = impliesPostcopy ? { 'x-mode': mode } : { 'postcopy-ram': true };
  if (isFile) {
    const text = 'Post-copy needs a destination that can ask for pages';
    throw new SternaError('E_CONFIG_INVALID', text, { detail: { ...setting, uri } });
  }
  if (verify !== 'strict') return;
  const text = 'RAM cannot be compared before GRANT in post-copy';
  throw new SternaError('E_CONFIG_INVALID', text, { detail: { ...setting, 'x-verify': verify } });
}

/** `migrate_cancel` when the guest runs at the destination already. */
export function tooLateToCancel(): SternaError {
  const text =
    'Postcopy migration in progress, cannot cancel: the guest runs at the destination. ' +
    'migrate-pause breaks the link; migrate-recover there, then migrate with resume here, go on';
  return new SternaError('E_STATE', text, { guestOwner: 'destination', phase: 'postcopy' });
}

/** `migrate` while the guest has not come as a whole. */
export function stillArriving(info: MigrationInfo): SternaError {
  const text = 'The guest is still arriving: pages of it are missing';
  return new SternaError('E_STATE', text, {
    guestOwner: 'destination',
    detail: { missingPages: info.postcopy?.remainingPages },
  });
}

/** Throws E_STATE unless `migrate-pause` may break the link now. */
export function refusePause(info: MigrationInfo | undefined): asserts info is MigrationInfo {
  if (info?.status === 'postcopy-active' || info?.status === 'postcopy-recover') return;
  // An attempt to connect is made again and again: it can be held, too.
  if (info?.side === 'source' && isPostcopy(info.status)) return;
  const text =
    'migrate-pause is currently only supported during postcopy-active or postcopy-recover state';
  throw new SternaError('E_STATE', text);
}

/** Throws E_STATE unless `migrate-recover` may wait for the source somewhere else. */
export function refuseRecover(info: MigrationInfo | undefined): void {
  if (info?.side === 'destination' && info.status === 'postcopy-paused') return;
  throw new SternaError('E_STATE', 'Migrate recover can only be run when postcopy is paused.');
}
