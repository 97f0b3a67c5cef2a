import type { LogLevel, PlannedFault } from '../base/index.ts';
import type { SecuritySettings } from '../channel/index.ts';

export interface AgentOptions extends DeviceOptions {
  readonly name: string;
  readonly role: 'source' | 'destination';
  /** Source: the guest to build. */
  readonly machine?: GuestOptions;
  /** Source, instead of a guest: the page spill of a source that was lost, to go on with. */
  readonly resumeSpill?: string;
  /** Source: records what its guest dirties there, until it ends or is migrated. */
  readonly recordTrace?: string;
  /** Source: builds the guest though its record says that it may live elsewhere. */
  readonly takeOwnership?: boolean;
  /** Destination: `tcp:HOST:PORT` or `file:PATH`. Without it `migrate-incoming` tells where. */
  readonly listen?: string;
  /** Destination: loads the guest and does not start it (QEMU's -S). */
  readonly startPaused?: boolean;
  /** Destination: RAM to make resident before a guest comes, bytes (QEMU's -mem-prealloc). */
  readonly preallocateBytes?: number;
  /**
   * Destination: the only guest that may come when the source asks for `validate-uuid`. Source: the
   * guest of `resumeSpill`.
   */
  readonly expectedUuid?: string;
  /** `unix:PATH` or `tcp:HOST:PORT` on loopback; by default a socket in the state directory. */
  readonly qmp: readonly string[];
  /**
   * By default ~/.local/state/sterna/NAME. `defaultStateDirectory` also looks into an environment.
   */
  readonly stateDir?: string;
  readonly logLevel: LogLevel;
  /**
   * Where clients of the guest's service connect while it lives here, `tcp:HOST:PORT`; on loopback,
   * unless `security` is insecure.
   */
  readonly service?: string;
  /** For tests: the process dies there, as by `kill -9`. */
  readonly fault?: PlannedFault;
  /** Keys of its migrations, both ways. Without them only the loopback is used. */
  readonly security?: SecuritySettings;
}

export type GuestOptions = WorkloadGuestOptions | BoardGuestOptions;

interface CommonGuestOptions {
  readonly ramBytes: number;
  readonly vcpuCount: number;
  readonly seed: number;
  /** Random when it is not given. */
  readonly uuid?: string;
  readonly startPaused?: boolean;
}

export interface WorkloadGuestOptions extends CommonGuestOptions {
  /** A SPEC such as `memwrite,fill=900M,hot=64M`. */
  readonly workload: string;
}

/** Machine `virt-riscv64`. */
export interface BoardGuestOptions extends CommonGuestOptions {
  /** A flat Linux Image, or an ELF. */
  readonly kernel: string;
  readonly initrd?: string;
  /** The kernel's command line. */
  readonly append?: string;
  readonly deterministic?: boolean;
  /** Deterministic: stands still for good once so many instructions were executed. */
  readonly haltAt?: number;
}

/** What the guests of this agent find behind their devices here. */
export interface DeviceOptions {
  /**
   * `stdio`, `unix:PATH`, `tcp:HOST:PORT`, `file:PATH` or `null`; the last is the default. Behind
   * the two sockets `,server=on[,wait=off]`: the agent listens there, and by default waits for its
   * first client before its guest starts.
   */
  readonly serial?: string;
  /** `file=PATH,format=raw[,readonly=on]` each, in the order of the guest's disks. */
  readonly drives?: readonly string[];
}

/** The one line that a started agent prints; real ports where 0 was asked for. */
export interface AgentReady {
  readonly name: string;
  readonly pid: number;
  readonly qmp: string[];
  readonly listen: string | null;
  /** Where clients of the guest connect, when that was asked for. */
  readonly service?: string;
}
