import { SternaError } from '../../../base/index.ts';
import type { TarEntry } from './tar-reader.ts';

export interface KernelFiles {
  readonly version: string;
  /** A flat Image, which a loader copies into RAM as it is. */
  readonly image: Uint8Array;
  /** Paths below `/lib/modules/VERSION/`. */
  readonly modules: ReadonlyMap<string, Uint8Array>;
  readonly builtIn: string;
}

const KERNEL = /^boot\/vmlinu[xz]-(.+)$/;
const MODULE = /^(?:usr\/)?lib\/modules\/([^/]+)\/(.+\.ko(?:\.(?:xz|zst|gz))?)$/;
const BUILT_IN = /^(?:usr\/)?lib\/modules\/[^/]+\/modules\.builtin$/;

/** "RISCV" and "RSC\x05" in the header of an Image. */
const MAGICS = [
  { offset: 0x30, text: 'RISCV\0\0\0' },
  { offset: 0x38, text: 'RSC\x05' },
];

/** The rest of a kernel package is documents and descriptions of boards. */
export function isKernelFile(path: string): boolean {
  return KERNEL.test(path) || MODULE.test(path) || BUILT_IN.test(path);
}

/** Sorts the files of a kernel package. Throws E_IMAGE_CONTENT when there is no flat Image. */
export function kernelFiles(entries: readonly TarEntry[]): KernelFiles {
  const files = entries.filter(({ kind }) => kind === 'file');
  const kernel = files.find(({ path }) => KERNEL.test(path));
  if (kernel === undefined) {
    throw new SternaError('E_IMAGE_CONTENT', 'The kernel package has no kernel in /boot');
  }
  const isImage = MAGICS.every(
    ({ offset, text }) =>
      Buffer.from(kernel.data).toString('latin1', offset, offset + text.length) === text,
  );
  if (!isImage) {
    throw new SternaError('E_IMAGE_CONTENT', `/${kernel.path} is no flat RISC-V Image`);
  }
  const modules = files.flatMap(({ path, data }) => {
    const below = MODULE.exec(path)?.[2];
    return below === undefined ? [] : [[below, data] as const];
  });
  const builtIn = files.find(({ path }) => BUILT_IN.test(path));
  return {
    version: KERNEL.exec(kernel.path)?.[1] ?? '',
    image: kernel.data,
    modules: new Map(modules),
    builtIn: Buffer.from(builtIn?.data ?? []).toString('utf8'),
  };
}
