import { imageError } from './image-error.ts';

interface ForeignFormat {
  readonly name: string;
  readonly byte: number;
  readonly magic: readonly number[];
  readonly remedy: (file: string) => string;
}

const ascii = (text: string) => [...Buffer.from(text, 'latin1')];
const decompress = (command: string) => (file: string) =>
  `Decompress it: ${command} < ${file} > Image`;
const anotherMachine = () =>
  'Use a kernel for riscv64: `sterna image debian` makes one from Debian packages';

/** What people have instead of a RISC-V Image, told by its first bytes. */
const FORMATS: readonly ForeignFormat[] = [
  { name: 'is compressed by gzip', byte: 0, magic: [0x1f, 0x8b], remedy: decompress('gzip -dc') },
  {
    name: 'is compressed by xz',
    byte: 0,
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    remedy: decompress('xz -dc'),
  },
  {
    name: 'is compressed by zstd',
    byte: 0,
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    remedy: decompress('zstd -dc'),
  },
  { name: 'is compressed by bzip2', byte: 0, magic: ascii('BZh'), remedy: decompress('bzip2 -dc') },
  {
    name: 'is compressed by lz4',
    byte: 0,
    magic: [0x02, 0x21, 0x4c, 0x18],
    remedy: decompress('lz4 -dc'),
  },
  {
    name: 'is a compressed kernel for EFI (zboot)',
    byte: 4,
    magic: ascii('zimg'),
    remedy: () => 'Use the plain Image of the same build (arch/riscv/boot/Image)',
  },
  {
    name: 'is a kernel for x86 (bzImage)',
    byte: 0x202,
    magic: ascii('HdrS'),
    remedy: anotherMachine,
  },
  { name: 'is a kernel for arm64', byte: 56, magic: ascii('ARM\x64'), remedy: anotherMachine },
  {
    name: 'is a kernel for LoongArch',
    byte: 56,
    magic: [0xcd, 0x23, 0x82, 0x81],
    remedy: anotherMachine,
  },
  {
    name: 'is a U-Boot image',
    byte: 0,
    magic: [0x27, 0x05, 0x19, 0x56],
    remedy: () => 'Take the plain Image out of it: dumpimage -p 0 -o Image FILE',
  },
  {
    name: 'is a Debian package',
    byte: 0,
    magic: ascii('!<arch>\n'),
    remedy: () => 'Unpack it: dpkg-deb -x FILE DIR; the kernel is DIR/boot/vmlinux-*',
  },
];

/** The error for a file that is neither an ELF file nor a RISC-V Image. */
export function foreignImageError(file: string, bytes: Uint8Array) {
  const format = FORMATS.find(({ byte, magic }) =>
    magic.every((value, index) => bytes[byte + index] === value),
  );
  if (format !== undefined) return imageError(file, format.name, format.remedy(file));
  const what = bytes.length === 0 ? 'is empty' : 'is no kernel for RISC-V';
  return imageError(file, what, 'Give an Image of Linux for riscv64 or an ELF file for RISC-V');
}
