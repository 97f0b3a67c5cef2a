import { SternaError } from '../../../base/index.ts';

/** What a kernel module says of itself in its section `.modinfo`. */
export interface ModuleInfo {
  /** With underscores, as the kernel has names. */
  readonly depends: readonly string[];
  readonly aliases: readonly string[];
}

const ELF_MAGIC = 0x464c457f;
const SECTION_HEADERS_OFFSET = 0x28;
const SECTION_HEADER_BYTES = 0x3a;
const SECTION_COUNT = 0x3c;
const SECTION_NAMES_INDEX = 0x3e;

/** Reads a 64-bit little-endian ELF file. Throws E_IMAGE_CONTENT on anything else. */
export function readModuleInfo(name: string, bytes: Uint8Array): ModuleInfo {
  let section: Uint8Array | undefined;
  try {
    section = sectionOf(bytes, '.modinfo');
  } catch {
    // A view never reads past its end: an offset that lies leads here.
    section = undefined;
  }
  if (section === undefined) {
    throw new SternaError('E_IMAGE_CONTENT', `The kernel module ${name} cannot be read`);
  }
  const lines = Buffer.from(section).toString('latin1').split('\0');
  const values = (key: string) =>
    lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
  return {
    depends: values('depends')
      .flatMap((list) => list.split(','))
      .filter((dependency) => dependency !== '')
      .map(moduleName),
    aliases: values('alias'),
  };
}

/** `virtio-rng` and `virtio_rng` are the same module; its file may have either. */
export function moduleName(text: string): string {
  return text.replaceAll('-', '_');
}

function sectionOf(bytes: Uint8Array, wanted: string): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The class (64 bits) and the order (little-endian) follow the magic.
  if (view.getUint32(0, true) !== ELF_MAGIC || view.getUint16(4, true) !== 0x0102) return undefined;
  const headers = Number(view.getBigUint64(SECTION_HEADERS_OFFSET, true));
  const headerBytes = view.getUint16(SECTION_HEADER_BYTES, true);
  const section = (index: number) => {
    const at = headers + index * headerBytes;
    const offset = Number(view.getBigUint64(at + 0x18, true));
    const size = Number(view.getBigUint64(at + 0x20, true));
    return { name: view.getUint32(at, true), bytes: bytes.subarray(offset, offset + size) };
  };
  const names = Buffer.from(section(view.getUint16(SECTION_NAMES_INDEX, true)).bytes);
  for (let index = 0; index < view.getUint16(SECTION_COUNT, true); index += 1) {
    const found = section(index);
    const end = names.indexOf(0, found.name);
    if (names.toString('latin1', found.name, end) === wanted) return found.bytes;
  }
  return undefined;
}
