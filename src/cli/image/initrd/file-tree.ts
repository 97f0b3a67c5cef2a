import { SternaError } from '../../../base/index.ts';
import type { TarEntry } from './tar-reader.ts';

export type TreeEntry =
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'file'; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly mode: number; readonly target: string }
  | {
      readonly kind: 'character';
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

/** Directories that Debian moved under `usr`, with links at their old places. */
const MERGED = /^(bin|sbin|lib|lib64)(?=\/|$)/;

/** Nothing reads these in a guest without people, and all of it would stay in its RAM. */
const LEFT_OUT = [
  /^usr\/share\/(doc|doc-base|man|info|locale|lintian|bug|bash-completion|initramfs-tools)(\/|$)/,
  // Conversions between character sets other than those that libc has inside.
  /^(usr\/)?lib\/[^/]+\/gconv(\/|$)/,
];

/** The root file system of a guest before it is written: paths from the root, without a slash. */
export class FileTree {
  private readonly entries = new Map<string, TreeEntry>();

  constructor() {
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
      this.directory(`usr/${name}`);
      this.entries.set(name, { kind: 'symlink', mode: 0o777, target: `usr/${name}` });
    }
  }

  /** Whether a file of a package has a place in an image. */
  static isWanted(path: string): boolean {
    return !LEFT_OUT.some((pattern) => pattern.test(path));
  }

  directory(path: string, mode = 0o755): void {
    this.put(path, { kind: 'directory', mode });
  }

  file(path: string, data: Uint8Array | string, mode = 0o644): void {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
    this.put(path, { kind: 'file', mode, data: bytes });
  }

  symlink(path: string, target: string): void {
    this.put(path, { kind: 'symlink', mode: 0o777, target });
  }

  character(path: string, major: number, minor: number, mode: number): void {
    this.put(path, { kind: 'character', mode, major, minor });
  }

  has(path: string): boolean {
    return this.entries.has(mergedPath(path));
  }

  /** Takes an entry of a package over. Devices are for the guest's own kernel to make. */
  add(entry: TarEntry): void {
    const { path, kind, mode, target, data } = entry;
    if (path === '') return;
    if (kind === 'directory') {
      // A package brings directories of others as well, and never a link's place.
      if (!MERGED.test(path) || path.includes('/')) this.directory(path, mode);
    } else if (kind === 'file') {
      this.put(path, { kind, mode, data });
    } else if (kind === 'symlink') {
      if (!isMergeLink(path)) this.put(path, { kind, mode: 0o777, target });
    } else if (kind === 'link') {
      this.put(path, this.linked(target));
    }
  }

  /** Parents come before what is in them. */
  sorted(): [string, TreeEntry][] {
    return [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get fileBytes(): number {
    return [...this.entries.values()].reduce(
      (total, entry) => total + (entry.kind === 'file' ? entry.data.length : 0),
      0,
    );
  }

  private put(path: string, entry: TreeEntry): void {
    const place = mergedPath(path);
    const parts = place.split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const parent = parts.slice(0, depth).join('/');
      if (!this.entries.has(parent)) this.entries.set(parent, { kind: 'directory', mode: 0o755 });
    }
    this.entries.set(place, entry);
  }

  /** The same bytes once more: a link would tie the order of the archive to that of packages. */
  private linked(target: string): TreeEntry {
    const path = mergedPath(target.replace(/^(\.?\/)+/, ''));
    const entry = this.entries.get(path);
    if (entry !== undefined) return entry;
    throw new SternaError('E_IMAGE_CONTENT', `A package has a link to ${path}, which it has not`);
  }
}

function mergedPath(path: string): string {
  return MERGED.test(path) ? `usr/${path}` : path;
}

function isMergeLink(path: string): boolean {
  return MERGED.test(path) && !path.includes('/');
}
