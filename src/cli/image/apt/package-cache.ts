import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SternaError, toSternaError } from '../../../base/index.ts';
import { AgentLock } from '../../../control/index.ts';
import { makeDirectory } from '../make-directory.ts';
import type { PlannedPackage } from './apt-plan.ts';

type Download = (packages: readonly PlannedPackage[], directory: string) => Promise<void>;

/**
 * A directory of packages and lists. A file of `archives` is whole: it was checked before it got
 * its name there, and is checked again before it is used. Old packages stay: remove the directory
 * to be rid of them.
 */
export class PackageCache {
  readonly directory: string;
  private readonly lock: AgentLock;

  private constructor(directory: string, lock: AgentLock) {
    this.directory = directory;
    this.lock = lock;
  }

  /** Throws E_IMAGE_CACHE while another process uses it, or when it cannot be written. */
  static async open(directory: string): Promise<PackageCache> {
    try {
      await makeDirectory(join(directory, 'archives'));
      return new PackageCache(directory, AgentLock.acquire(join(directory, 'lock')));
    } catch (thrown) {
      const pid = thrown instanceof SternaError ? thrown.detail.pid : undefined;
      if (pid !== undefined) {
        throw new SternaError('E_IMAGE_CACHE', `Process ${pid} makes an image with this cache`, {
          detail: { cache: directory },
        });
      }
      throw toSternaError(unwrap(thrown), 'E_IMAGE_CACHE', `The cache ${directory} is no use`);
    }
  }

  close(): void {
    this.lock.release();
  }

  path(planned: PlannedPackage): string {
    return join(this.directory, 'archives', planned.fileName);
  }

  /** Those of the packages that are not here, or not as the lists say. */
  async missing(planned: readonly PlannedPackage[]): Promise<PlannedPackage[]> {
    const missing: PlannedPackage[] = [];
    for (const one of planned) if (!(await isWhole(this.path(one), one))) missing.push(one);
    return missing;
  }

  /** The error for packages that are not here and may not be fetched. */
  lacks(missing: readonly PlannedPackage[]): SternaError {
    return new SternaError('E_IMAGE_CACHE', `The cache lacks ${missing.length} packages`, {
      detail: { cache: this.directory, packages: missing.slice(0, 8).map(({ name }) => name) },
    });
  }

  /** Fetches aside, checks, then gives each file its name: a broken download leaves nothing. */
  async add(planned: readonly PlannedPackage[], download: Download): Promise<void> {
    const incoming = await mkdtemp(join(this.directory, 'incoming-'));
    try {
      await download(planned, incoming);
      for (const one of planned) {
        const path = join(incoming, one.fileName);
        if (!(await isWhole(path, one))) {
          throw new SternaError('E_IMAGE_MIRROR', `${one.fileName} did not come as its list says`);
        }
        await rename(path, this.path(one));
      }
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
  }
}

async function isWhole(path: string, planned: PlannedPackage): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found?.size !== planned.bytes) return false;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex') === planned.sha256;
}

/** What the system said, not what the lock made of it. */
function unwrap(thrown: unknown): unknown {
  return thrown instanceof SternaError && thrown.cause !== undefined ? thrown.cause : thrown;
}
