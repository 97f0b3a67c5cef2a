import { SternaError } from '../../../base/index.ts';

export type TarKind = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface TarEntry {
  /** From the root, without a slash at either end; the root itself is ''. */
  readonly path: string;
  readonly kind: TarKind;
  readonly mode: number;
  /** Where a link or symlink leads, as it is written there. */
  readonly target: string;
  readonly data: Uint8Array;
}

const BLOCK = 512;
/** The largest file of an image is a kernel of some 30 MiB. */
const FILE_BYTES_MAX = 2 ** 30;

const KINDS: Readonly<Record<string, TarKind>> = {
  ...{ '0': 'file', '\0': 'file', '7': 'file', '1': 'link', '2': 'symlink' },
  ...{ '3': 'character', '4': 'block', '5': 'directory', '6': 'fifo' },
};

interface Header {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly size: number;
  readonly target: string;
}

/**
 * Reads the tar stream of a package as it comes: ustar, with GNU's and pax's ways to write long
 * names. What is not wanted is passed over without being kept.
 */
export class TarReader {
  private readonly isWanted: (path: string) => boolean;
  private readonly take: (entry: TarEntry) => void;
  private pending: Buffer = Buffer.alloc(0);
  private header: Header | undefined;
  private body: Buffer[] = [];
  private bodyLeft = 0;
  private paddingLeft = 0;
  private longName: string | undefined;
  private longTarget: string | undefined;
  private ended = false;

  constructor(isWanted: (path: string) => boolean, take: (entry: TarEntry) => void) {
    this.isWanted = isWanted;
    this.take = take;
  }

  push(chunk: Buffer): void {
    let rest = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    while (rest.length > 0 && !this.ended) {
      if (this.header !== undefined && this.bodyLeft > 0) {
        const part = rest.subarray(0, this.bodyLeft);
        if (this.keepsBody(this.header)) this.body.push(Buffer.from(part));
        this.bodyLeft -= part.length;
        rest = rest.subarray(part.length);
      } else if (this.paddingLeft > 0) {
        const skipped = Math.min(this.paddingLeft, rest.length);
        this.paddingLeft -= skipped;
        rest = rest.subarray(skipped);
      } else {
        if (rest.length < BLOCK) break;
        this.begin(rest.subarray(0, BLOCK));
        rest = rest.subarray(BLOCK);
      }
      if (this.header !== undefined && this.bodyLeft === 0) this.finish(this.header);
    }
    this.pending = this.ended ? Buffer.alloc(0) : Buffer.from(rest);
  }

  /** Throws when the stream ended in the middle. */
  end(): void {
    if (this.ended) return;
    if (this.header !== undefined || this.pending.length > 0 || this.paddingLeft > 0) {
      throw broken('it ends too early');
    }
  }

  private begin(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      this.ended = true;
      return;
    }
    this.header = readHeader(block);
    this.bodyLeft = this.header.size;
    this.paddingLeft = (BLOCK - (this.header.size % BLOCK)) % BLOCK;
    this.body = [];
  }

  private keepsBody(header: Header): boolean {
    return KINDS[header.type] === undefined || this.isWanted(this.pathOf(header));
  }

  private pathOf(header: Header): string {
    return cleanPath(this.longName ?? header.name);
  }

  private finish(header: Header): void {
    this.header = undefined;
    const data = this.body.length === 1 ? (this.body[0] as Buffer) : Buffer.concat(this.body);
    this.body = [];
    if (header.type === 'L') this.longName = textOf(data);
    else if (header.type === 'K') this.longTarget = textOf(data);
    else if (header.type === 'x') this.readPax(data);
    // Settings for all that follows, which are comments as a rule.
    else if (header.type !== 'g') this.emit(header, data);
  }

  private emit(header: Header, data: Buffer): void {
    const kind = KINDS[header.type];
    if (kind === undefined) throw broken(`an entry has the type ${JSON.stringify(header.type)}`);
    const path = this.pathOf(header);
    const target = this.longTarget ?? header.target;
    this.longName = undefined;
    this.longTarget = undefined;
    if (this.isWanted(path)) this.take({ path, kind, mode: header.mode, target, data });
  }

  /** `LENGTH KEY=VALUE\n`, where LENGTH counts the whole line. */
  private readPax(data: Buffer): void {
    let rest = data;
    while (rest.length > 0) {
      const length = Number(/^(\d+) /.exec(rest.subarray(0, 20).toString('latin1'))?.[1]);
      if (!(length > 0 && length <= rest.length)) throw broken('a pax header is damaged');
      const line = rest.subarray(0, length - 1).toString('utf8');
      const [, key, value] = /^\d+ ([^=]+)=(.*)$/s.exec(line) ?? [];
      if (key === 'path') this.longName = value;
      if (key === 'linkpath') this.longTarget = value;
      if (key === 'size') throw broken('a file is too large for an image');
      rest = rest.subarray(length);
    }
  }
}

function readHeader(block: Buffer): Header {
  const sum = block.reduce((total, byte, index) => {
    // The checksum counts its own field as blanks.
    return total + (index >= 148 && index < 156 ? 0x20 : byte);
  }, 0);
  if (sum !== octal(block, 148, 8)) throw broken('the checksum of a header is wrong');
  const size = octal(block, 124, 12);
  if (size > FILE_BYTES_MAX) throw broken('a file is too large for an image');
  const type = String.fromCharCode(block[156] ?? 0);
  const isUstar = block.toString('latin1', 257, 262) === 'ustar';
  const prefix = isUstar && block[262] === 0 ? textOf(block.subarray(345, 500)) : '';
  const name = textOf(block.subarray(0, 100));
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type,
    mode: octal(block, 100, 8) & 0o7777,
    // A link or a directory has no body, whatever its size field says.
    size: '123456'.includes(type) ? 0 : size,
    target: textOf(block.subarray(157, 257)),
  };
}

function octal(block: Buffer, offset: number, length: number): number {
  const text = textOf(block.subarray(offset, offset + length)).trim();
  if (!/^[0-7]*$/.test(text)) throw broken('a number of a header is none');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** Throws on a path that leads out of the root. */
function cleanPath(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw broken(`an entry leads out of the root: ${name}`);
  return parts.join('/');
}

function broken(reason: string): SternaError {
  return new SternaError('E_IMAGE_CONTENT', `The content of a package cannot be read: ${reason}`);
}
