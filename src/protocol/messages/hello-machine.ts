import {
  NAME_LENGTH_MAX,
  RAM_BLOCK_BYTES_MAX,
  RAM_BYTES_MAX,
  RAM_BYTES_MIN,
  VCPU_COUNT_MAX,
} from '../../base/index.ts';
import type { FieldReader, Scalar } from '../body/body-reader.ts';

/**
 * The machine as HELLO describes it: structurally guestmem's `MachineDescription`, which this
 * layer may not import.
 */
export interface HelloMachine {
  readonly type: string;
  readonly version: number;
  readonly name: string;
  readonly uuid: string;
  readonly vcpuCount: number;
  readonly ramBlocks: readonly HelloRamBlock[];
  readonly config: Readonly<Record<string, Scalar>>;
}

export interface HelloRamBlock {
  readonly name: string;
  readonly bytes: number;
}

/** Twice what 16 GiB in blocks of 2 GiB need leaves room for small ones (a ROM, a frame buffer). */
const RAM_BLOCK_COUNT_MAX = 16;
const CONFIG_BYTES_MAX = 4096;
const MACHINE_TYPE = /^[a-z][a-z0-9-]*$/;
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function packMachine(machine: HelloMachine): Record<string, unknown> {
  return {
    type: machine.type,
    version: machine.version,
    name: machine.name,
    uuid: machine.uuid,
    vcpuCount: machine.vcpuCount,
    ramBlocks: machine.ramBlocks.map(({ name, bytes }) => ({ name, bytes })),
    config: machine.config,
  };
}

/**
 * Every size is within base/limits.ts, so that a factory may multiply and add them without
 * another thought.
 */
export function readMachine(fields: FieldReader, pageBytes: number): HelloMachine {
  const ramBlocks = fields.maps('ramBlocks', RAM_BLOCK_COUNT_MAX, (block) => {
    const bytes = block.integer('bytes', pageBytes, RAM_BLOCK_BYTES_MAX);
    if (bytes % pageBytes !== 0) block.fail('bytes', `is not a multiple of ${pageBytes}`);
    return { name: block.text('name', NAME_LENGTH_MAX), bytes };
  });
  const ramBytes = ramBlocks.reduce((total, block) => total + block.bytes, 0);
  if (ramBytes < RAM_BYTES_MIN || ramBytes > RAM_BYTES_MAX) {
    fields.fail('ramBlocks', `has ${ramBytes} bytes, not ${RAM_BYTES_MIN} to ${RAM_BYTES_MAX}`);
  }
  if (new Set(ramBlocks.map((block) => block.name)).size !== ramBlocks.length) {
    fields.fail('ramBlocks', 'has two blocks of one name');
  }
  return {
    type: fields.text('type', NAME_LENGTH_MAX, MACHINE_TYPE),
    version: fields.integer('version', 1, 65_535),
    name: fields.text('name', NAME_LENGTH_MAX),
    uuid: fields.text('uuid', 36, UUID),
    vcpuCount: fields.integer('vcpuCount', 1, VCPU_COUNT_MAX),
    ramBlocks,
    config: fields.scalars('config', CONFIG_BYTES_MAX),
  };
}
