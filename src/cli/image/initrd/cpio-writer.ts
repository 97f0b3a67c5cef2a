import type { FileTree, TreeEntry } from './file-tree.ts';

/** File types in the high bits of a mode, as stat(2) has them. */
const TYPE_BITS = { directory: 0o040000, file: 0o100000, symlink: 0o120000, character: 0o020000 };
/** An archive is a whole number of these. */
const RECORD = 512;
const HEADER_BYTES = 110;

/**
 * A tree as a `newc` archive, which Linux unpacks as its first root file system. The same tree
 * gives the same bytes: entries are sorted, belong to root, and are of the time 0.
 */
export function writeCpio(tree: FileTree): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const push = (part: Uint8Array) => {
    if (part.length === 0) return;
    parts.push(part);
    bytes += part.length;
  };
  let inode = 0;
  for (const [path, entry] of tree.sorted()) {
    inode += 1;
    const data = bodyOf(entry);
    push(header(path, entry, inode, data.length));
    push(data);
    push(new Uint8Array(-data.length & 3));
  }
  push(header('TRAILER!!!', undefined, 0, 0));
  push(new Uint8Array((RECORD - (bytes % RECORD)) % RECORD));
  return parts;
}

/** The fixed fields, the name, and as many zeros as bring the body to a multiple of 4. */
function header(
  path: string,
  entry: TreeEntry | undefined,
  inode: number,
  bodyBytes: number,
): Buffer {
  const name = Buffer.from(`${path}\0`, 'utf8');
  const device = entry?.kind === 'character' ? entry : { major: 0, minor: 0 };
  const mode = entry === undefined ? 0 : TYPE_BITS[entry.kind] | entry.mode;
  const linkCount = entry?.kind === 'directory' ? 2 : 1;
  const fields = [inode, mode, 0, 0, linkCount, 0, bodyBytes];
  // The two before the last pair are of the device that the archive was made on.
  fields.push(0, 0, device.major, device.minor, name.length, 0);
  const text = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`;
  const padding = Buffer.alloc(-(HEADER_BYTES + name.length) & 3);
  return Buffer.concat([Buffer.from(text, 'latin1'), name, padding]);
}

function bodyOf(entry: TreeEntry): Uint8Array {
  if (entry.kind === 'file') return entry.data;
  return entry.kind === 'symlink' ? Buffer.from(entry.target, 'utf8') : new Uint8Array(0);
}
