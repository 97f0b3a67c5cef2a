import type { Command } from 'commander';
import { MULTIFD_CHANNELS_MAX, SternaError } from '../../base/index.ts';
import { parseInteger } from '../arguments.ts';
import type { MigrationRequest } from '../migration/migration-request.ts';

/** The options of `sterna migrate` about several connections, virsh's. */
export interface ParallelOptions {
  readonly parallel?: true;
  readonly parallelConnections?: number;
}

export function withParallelOptions(command: Command): Command {
  return command
    .option('--parallel', 'several connections for pages before the switch')
    .option(
      '--parallel-connections <count>',
      'how many (2)',
      parseInteger(1, MULTIFD_CHANNELS_MAX),
    );
}

/**
 * That part of a request. As it was set before when nothing here asks for it, unless it would be in
 * the way: a file has one stream. Throws E_CONFIG_INVALID.
 */
export function parallelRequest(
  uri: string,
  { parallel, parallelConnections }: ParallelOptions,
): Pick<MigrationRequest, 'parallel' | 'parallelConnections'> {
  if (parallelConnections !== undefined && !parallel) {
    throw new SternaError('E_CONFIG_INVALID', '--parallel-connections needs --parallel');
  }
  return {
    parallel: parallel ?? (uri.startsWith('file:') ? false : undefined),
    parallelConnections,
  };
}
