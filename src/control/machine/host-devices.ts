import { realpathSync } from 'node:fs';
import { SternaError } from '../../base/index.ts';
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
  const shapes = specs.map(driveShape);
  refuseShared(specs);
  return { serial: parseSerialSpec(serial), drives: specs, shapes };
}

/** What a guest writes to one of its disks must not change another one under it. */
function refuseShared(specs: readonly DriveSpec[]): void {
  const seen = new Map<string, DriveSpec>();
  for (const spec of specs) {
    const image = realpathSync(spec.file);
    const other = seen.get(image);
    seen.set(image, spec);
    if (other === undefined || (other.isReadOnly && spec.isReadOnly)) continue;
    throw new SternaError('E_CONFIG_INVALID', `Drive ${spec.file} is the image of another drive`, {
      detail: { file: spec.file, expected: 'an image for each drive, or readonly=on for both' },
    });
  }
}
