import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, so that a number that was given to another one since is not mistaken for it. */
export interface LockHolder {
  readonly pid: number;
  /** When it started, in ticks since boot; null where the system does not tell. */
  readonly startTicks: string | null;
  /** Where its number means something; where nobody said so, here. */
  readonly place?: HolderPlace;
}

interface HolderPlace {
  readonly host: string;
  /** Changes with each start of the host; null where the system does not tell. */
  readonly boot: string | null;
  /** Containers number their processes on their own; null where the system does not tell. */
  readonly pidNamespace: string | null;
}

/** `elsewhere`: on another host or in another container, where nobody here can look. */
type HolderLife = 'alive' | 'dead' | 'elsewhere';

/** For who shares a file with processes of this place only. */
export function thisProcess(): LockHolder {
  return { pid: process.pid, startTicks: startTicks(process.pid) };
}

export function lifeOf({ pid, startTicks: ticks, place }: LockHolder): HolderLife {
  if (place !== undefined) {
    const here = thisPlace();
    if (place.host !== here.host) return 'elsewhere';
    if (place.boot !== here.boot) return 'dead';
    if (place.pidNamespace !== here.pidNamespace) return 'elsewhere';
  }
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it lives, as another user.
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return 'dead';
  }
  const now = startTicks(pid);
  return now === null || ticks === null || now === ticks ? 'alive' : 'dead';
}

/** Undefined for what is none. */
export function asHolder(value: unknown): LockHolder | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, startTicks: ticks, place } = value as Record<string, unknown>;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const holder = { pid, startTicks: textOrNull(ticks) };
  if (typeof place !== 'object' || place === null) return holder;
  const { host, boot, pidNamespace } = place as Record<string, unknown>;
  if (typeof host !== 'string') return holder;
  return {
    ...holder,
    place: { host, boot: textOrNull(boot), pidNamespace: textOrNull(pidNamespace) },
  };
}

export function thisPlace(): HolderPlace {
  return {
    host: hostname(),
    boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** Field 22 of /proc/PID/stat; null where there is none. */
function startTicks(pid: number): string | null {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field, the name, is in parentheses and may have spaces.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[19] ?? null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function attempt(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
