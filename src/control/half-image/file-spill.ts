import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { WallClock } from '../../base/index.ts';
import { fileError } from '../../channel/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import type { SourceHalf, Spill } from '../../source/index.ts';
import type { OpenHalfFile } from './half-file.ts';
import { partialHalfPath, writeHalf } from './half-writer.ts';

/** The name of a migration's page spill in the directory that was asked for. */
export function spillPath(directory: string, uuid: string, migrationId: string): string {
  return join(directory, `${uuid}.${migrationId}.spill`);
}

/** A page spill as a half image in a file. */
export class FileSpill implements Spill {
  readonly path: string;
  private readonly wallClock: WallClock;
  private readonly openFile: OpenHalfFile | undefined;
  private removed = false;

  constructor(path: string, wallClock: WallClock, openFile?: OpenHalfFile) {
    this.path = path;
    this.wallClock = wallClock;
    this.openFile = openFile;
  }

  async write(half: SourceHalf, wrote: (bytes: number) => void): Promise<void> {
    const { migrationId, epoch, machine, secret, peer, memory, pages, isReplaced } = half;
    const timeMs = Math.floor(this.wallClock() / 1000);
    const head = { side: 'source', migrationId, epoch, machine, secret, peer, timeMs } as const;
    const bitmaps = memory.blocks.map((block: RamBlock) => pages.bitmapOf(block));
    const isCancelled = () => this.removed;
    await writeHalf(
      this.path,
      { head, memory, bitmaps, leavesOut: isReplaced, state: new Uint8Array(0) },
      { wrote, isCancelled, ...(this.openFile === undefined ? {} : { openFile: this.openFile }) },
    );
  }

  async remove(): Promise<void> {
    this.removed = true;
    // In the order of a writer that may be between its last two steps.
    for (const path of [partialHalfPath(this.path), this.path]) {
      await unlink(path).catch((thrown: NodeJS.ErrnoException) => {
        if (thrown.code !== 'ENOENT') throw fileError(path, 'remove', thrown);
      });
    }
  }
}
