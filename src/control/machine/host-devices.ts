import type { DriveSpec, SerialSpec } from '../../guest/index.ts';
import {
  type DriveConfig,
  driveShape,
  parseDriveSpec,
  parseSerialSpec,
} from '../../guest/index.ts';
import type { DeviceOptions } from '../agent-options.ts';

/** What this host has for the devices of a guest: the same for each that lives here. */
export interface HostDevices {
  readonly serial: SerialSpec;
  readonly drives: readonly DriveSpec[];
  /** Of the drives: what a guest must have to live here. */
  readonly shapes: readonly DriveConfig[];
}

/** Looks at each drive. Throws E_CONFIG_INVALID or E_FILE. */
export function hostDevices({ serial = 'null', drives = [] }: DeviceOptions): HostDevices {
  const specs = drives.map(parseDriveSpec);
  return { serial: parseSerialSpec(serial), drives: specs, shapes: specs.map(driveShape) };
}
