import { type Command, Option } from 'commander';
import { type MigrationMode, SternaError, type TimeoutAction } from '../../base/index.ts';
import { parseInteger, parseNumber } from '../arguments.ts';
import type { MigrationRequest } from '../migration/migration-request.ts';

/** What `--mode` may be. */
export const MODES: readonly MigrationMode[] = ['precopy', 'stop', 'postcopy', 'hybrid'];

/** The options of `sterna migrate` about post-copy, most of them virsh's. */
export interface PostcopyOptions {
  readonly postcopy?: true;
  readonly postcopyAfterPrecopy?: true;
  readonly postcopyAfterPasses?: number;
  readonly postcopyPreempt?: true;
  readonly postcopyBandwidth?: number;
  readonly postcopyResume?: true;
  readonly timeoutPostcopy?: true;
  readonly timeoutCancel?: true;
  readonly verify?: 'after' | 'strict' | 'off';
  readonly mode: MigrationMode;
}

export function withPostcopyOptions(command: Command): Command {
  return command
    .option('--postcopy', 'allow a switch to post-copy (sterna postcopy)')
    .option('--postcopy-after-precopy', 'post-copy after the first pass of pre-copy')
    .option(
      '--postcopy-after-passes <count>',
      'post-copy after so many passes; 0: when a pass leaves no less than the last',
      parseInteger(0, 1000),
    )
    .option('--postcopy-preempt', 'a second connection for pages that a vCPU waits for')
    .option(
      '--postcopy-bandwidth <MiB/s>',
      'limit of pages that nobody waits for, 0 for none',
      parseNumber(0, 2 ** 30),
    )
    .addOption(
      new Option('--postcopy-resume', 'go on with a migration whose link was lost, and follow it'),
    )
    .addOption(
      new Option(
        '--timeout-postcopy',
        'switch to post-copy in time to end by the timeout',
      ).conflicts('timeoutSuspend'),
    );
}

/** A rule for the switch makes it hybrid. Throws E_CONFIG_INVALID. */
export function modeOf(options: PostcopyOptions): MigrationMode {
  const { mode, postcopyAfterPrecopy, postcopyAfterPasses, timeoutPostcopy } = options;
  const rule = postcopyAfterPrecopy || postcopyAfterPasses !== undefined;
  if (!rule && !timeoutPostcopy) return mode;
  if (mode === 'stop' || mode === 'postcopy') {
    const text = `In mode ${mode} there is no pre-copy that post-copy could follow`;
    throw new SternaError('E_CONFIG_INVALID', text);
  }
  return rule ? 'hybrid' : mode;
}

export function timeoutActionOf({
  timeoutCancel,
  timeoutPostcopy,
}: PostcopyOptions): TimeoutAction {
  if (timeoutPostcopy) return 'postcopy';
  return timeoutCancel ? 'cancel' : 'suspend';
}

/** That part of a request. */
export function postcopyRequest(
  uri: string,
  options: PostcopyOptions,
): Pick<MigrationRequest, 'postcopy' | 'postcopyBandwidthMebibytes' | 'postcopyAfterPasses'> {
  const { postcopyAfterPrecopy, postcopyAfterPasses, postcopyBandwidth } = options;
  return {
    postcopy: capabilityOf(uri, options),
    postcopyBandwidthMebibytes: postcopyBandwidth,
    postcopyAfterPasses: postcopyAfterPasses ?? (postcopyAfterPrecopy ? 1 : undefined),
  };
}

/**
 * As it was set before when nothing here asks for it, unless it would be in the way: what one
 * migration had switched on must not keep the next one from being a file.
 */
function capabilityOf(uri: string, options: PostcopyOptions): MigrationRequest['postcopy'] {
  if (options.postcopyPreempt) return 'preempt';
  const mode = modeOf(options);
  const asked = options.postcopy || options.timeoutPostcopy;
  if (asked || mode === 'postcopy' || mode === 'hybrid') return 'on';
  const cannot = mode === 'stop' || uri.startsWith('file:') || options.verify === 'strict';
  return cannot ? 'off' : undefined;
}
