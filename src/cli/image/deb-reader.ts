import { SternaError } from '../../base/index.ts';
import { type TarEntry, TarReader } from './initrd/tar-reader.ts';
import type { ToolRunner } from './tool-run.ts';

/** The files of packages, without installing them and without a directory to unpack into. */
export class DebReader {
  private readonly tools: ToolRunner;

  constructor(tools: ToolRunner) {
    this.tools = tools;
  }

  /** The entries of a package whose path is wanted, in its own order. */
  async read(path: string, isWanted: (path: string) => boolean): Promise<TarEntry[]> {
    const entries: TarEntry[] = [];
    const reader = new TarReader(isWanted, (entry) => entries.push(entry));
    const { status, complaints } = await this.tools.run('dpkg-deb', {
      arguments: ['--fsys-tarfile', path],
      onOutput: (chunk) => reader.push(chunk),
    });
    if (status !== 0) {
      throw new SternaError('E_IMAGE_CONTENT', `${path} cannot be unpacked`, {
        detail: { 'dpkg-deb': complaints.trim().slice(-200) },
      });
    }
    reader.end();
    return entries;
  }

  async decompress(program: 'xz' | 'zstd', bytes: Uint8Array): Promise<Uint8Array> {
    const { status, output, complaints } = await this.tools.run(program, {
      arguments: ['-dc'],
      input: bytes,
    });
    if (status === 0) return output;
    throw new SternaError('E_IMAGE_CONTENT', 'A kernel module cannot be decompressed', {
      detail: { [program]: complaints.trim().slice(-200) },
    });
  }
}
