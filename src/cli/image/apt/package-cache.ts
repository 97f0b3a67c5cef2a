import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SternaError, toSternaError } from '../../../base/index.ts';
import { AgentLock } from '../../../control/index.ts';
import { makeDirectory } from '../make-directory.ts';
import type { PlannedPackage } from './apt-plan.ts';
import { accessCache } from './cache-access.ts';

type Download = (packages: readonly PlannedPackage[], directory: string) => Promise<void>;

/**
 * A directory of packages and lists. A file of `archives` is whole: it was checked before it got
 * its name there, and is checked again before it is used. Old packages stay: remove the directory
 * to be rid of them.
 */
export class PackageCache {
  readonly directory: string;
  private readonly held: AgentLock;

  private constructor(directory: string, held: AgentLock) {
    this.directory = directory;
    this.held = held;
  }

  /** Throws E_IMAGE_CACHE while another process uses it, or when it cannot be written. */
  static async open(directory: string): Promise<PackageCache> {
    await accessCache(directory, () => makeDirectory(join(directory, 'archives')));
    return new PackageCache(directory, lock(directory));
  }

  close(): void {
    this.held.release();
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
    await accessCache(this.directory, () => this.fetch(planned, download));
  }

  private async fetch(planned: readonly PlannedPackage[], download: Download): Promise<void> {
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

/** The lock of an agent, with words of its own. */
function lock(directory: string): AgentLock {
  try {
    return AgentLock.acquire(join(directory, 'lock'));
  } catch (thrown) {
    const { detail } = toSternaError(thrown, 'E_IMAGE_CACHE', '');
    const message =
      detail.pid === undefined
        ? `The cache ${directory} cannot be used`
        : `Process ${detail.pid} makes an image with this cache`;
    throw new SternaError('E_IMAGE_CACHE', message, {
      detail: { ...detail, cache: directory },
      cause: thrown,
    });
  }
}
