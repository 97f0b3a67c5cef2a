import { createHash } from 'node:crypto';
import { access, constants, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type SternaError, toSternaError } from '../../base/index.ts';
import type { PlannedPackage } from './apt/apt-plan.ts';
import { makeDirectory } from './make-directory.ts';

/** What an image was made of; `manifest.json` holds it, and its field names are for programs. */
export interface ImageManifest {
  readonly format: 1;
  readonly suite: string;
  readonly architecture: 'riscv64';
  readonly 'kernel-version': string;
  readonly init: string;
  readonly modules: readonly string[];
  readonly 'requested-packages': readonly string[];
  readonly packages: readonly Pick<
    PlannedPackage,
    'name' | 'version' | 'architecture' | 'sha256' | 'bytes'
  >[];
}

export interface ImageParts {
  readonly kernel: Uint8Array;
  readonly initrd: readonly Uint8Array[];
  readonly gzip: boolean;
  readonly manifest: ImageManifest;
}

const MANIFEST = 'manifest.json';
/** The system that a gzip header names; zlib writes the one it runs on. */
const GZIP_SYSTEM_BYTE = 9;
const GZIP_SYSTEM_UNKNOWN = 255;

/** Throws E_FILE when nothing can be written there. */
export async function prepareOutput(directory: string): Promise<void> {
  try {
    await makeDirectory(directory);
    // With the dot: a file of that name is no directory.
    await access(`${directory}/.`, constants.W_OK);
  } catch (thrown) {
    throw unwritable(directory, thrown);
  }
}

/**
 * Writes an image aside and then moves it into its place, the manifest last: where there is one,
 * the files beside it are those that it describes. Returns their paths.
 */
export async function writeImage(directory: string, parts: ImageParts): Promise<string[]> {
  try {
    const aside = await mkdtemp(join(directory, '.unfinished-'));
    try {
      return await writeAside(aside, directory, parts);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  } catch (thrown) {
    throw unwritable(directory, thrown);
  }
}

function unwritable(directory: string, thrown: unknown): SternaError {
  return toSternaError(thrown, 'E_FILE', `The image cannot be written to ${directory}`);
}

async function writeAside(aside: string, directory: string, parts: ImageParts): Promise<string[]> {
  const [initrdName, otherName] = parts.gzip
    ? ['initrd.cpio.gz', 'initrd.cpio']
    : ['initrd.cpio', 'initrd.cpio.gz'];
  const initrd = parts.gzip ? [compressed(parts.initrd)] : parts.initrd;
  const files = {
    Image: await writeWhole(join(aside, 'Image'), [parts.kernel]),
    [initrdName]: await writeWhole(join(aside, initrdName), initrd),
  };
  const text = `${JSON.stringify({ ...parts.manifest, files }, null, 2)}\n`;
  await writeWhole(join(aside, MANIFEST), [Buffer.from(text)]);
  // From here to the last line there is no manifest: nothing says that the files belong together.
  await rm(join(directory, MANIFEST), { force: true });
  await rm(join(directory, otherName), { force: true });
  const names = ['Image', initrdName, MANIFEST];
  for (const name of names) await rename(join(aside, name), join(directory, name));
  return names.map((name) => join(directory, name));
}

async function writeWhole(
  path: string,
  parts: readonly Uint8Array[],
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx', 0o644);
  try {
    for (const part of parts) {
      await file.writeFile(part);
      hash.update(part);
      bytes += part.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

function compressed(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = gzipSync(Buffer.concat(parts), { level: 9 });
  bytes[GZIP_SYSTEM_BYTE] = GZIP_SYSTEM_UNKNOWN;
  return bytes;
}
