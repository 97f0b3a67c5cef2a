import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleFile } from '../module-file.ts';
import { type TarPart, tarArchive } from '../tar-archive.ts';

const TOOLS = ['apt-get', 'apt-cache', 'apt-config', 'dpkg-deb', 'xz'];
const SCRIPT = fileURLToPath(new URL('./fake-tool.sh', import.meta.url));

interface FakePackage {
  readonly version: string;
  readonly architecture: string;
  readonly depends?: readonly string[];
  readonly content: readonly TarPart[];
}

/** What goes wrong, or is otherwise than on a plain host. Lines are what apt would print. */
export interface FakeTrouble {
  readonly configuration?: readonly string[];
  /** Verb of apt-get -> what it prints before it fails. */
  readonly errors?: Readonly<Record<string, readonly string[]>>;
  /** A package that the mirror hands out damaged. */
  readonly damages?: string;
  /** `apt-get update` never ends. */
  readonly hangs?: boolean;
}

export const FAKE_KERNEL = '6.0-riscv64';
const MODULES = `./usr/lib/modules/${FAKE_KERNEL}`;

const module = (path: string, ...info: readonly string[]): TarPart => ({
  path: `${MODULES}/kernel/${path}.ko.xz`,
  content: Buffer.concat([Buffer.from('xz'), moduleFile(info)]),
});

/** A Debian of five packages, in a directory of its own; `path` is the PATH that has its tools. */
export class FakeDebian {
  readonly root = mkdtempSync(join(tmpdir(), 'sterna-debian-'));
  readonly path = join(this.root, 'bin');
  packages: Record<string, FakePackage> = {
    'busybox-static': {
      ...{ version: '1:1.37-6', architecture: 'riscv64' },
      content: [
        { path: './usr/bin/busybox', content: 'busybox', mode: 0o755 },
        { path: './usr/share/doc/busybox/copyright', content: 'text' },
      ],
    },
    'redis-server': {
      ...{ version: '5:8.0', architecture: 'riscv64', depends: ['libc6'] },
      content: [{ path: './usr/bin/redis-server', content: 'redis', mode: 0o755 }],
    },
    libc6: {
      ...{ version: '2.41', architecture: 'riscv64' },
      content: [{ path: './lib/libc.so.6', content: 'libc' }],
    },
    'linux-image-riscv64': {
      ...{ version: '6.0', architecture: 'riscv64', depends: [`linux-image-${FAKE_KERNEL}`] },
      content: [],
    },
    [`linux-image-${FAKE_KERNEL}`]: {
      ...{ version: '6.0', architecture: 'riscv64', depends: ['initramfs-tools'] },
      content: [
        { path: `./boot/vmlinux-${FAKE_KERNEL}`, content: flatImage() },
        { path: `${MODULES}/modules.builtin`, content: 'kernel/lib/crc16.ko\n' },
        module('drivers/virtio_mmio'),
        module('drivers/virtio_blk', 'alias=virtio:d00000002v*'),
        module('drivers/virtio_net', 'depends=failover', 'alias=virtio:d00000001v*'),
        module('drivers/virtio-rng'),
        module('net/failover'),
        module('fs/ext4', 'depends=crc16', 'alias=fs-ext4'),
        module('crypto/crc32c_generic'),
        module('drivers/floppy'),
      ],
    },
  };

  constructor() {
    mkdirSync(this.path);
    for (const name of TOOLS) {
      copyFileSync(SCRIPT, join(this.path, name));
      chmodSync(join(this.path, name), 0o755);
    }
    this.write('sources.list', 'deb http://mirror/debian bookworm main\n');
    this.write('usr/share/keyrings/debian-archive-keyring.gpg', 'keys');
    this.become({});
  }

  /** Goes on as a host with these troubles, and with what `packages` is now. */
  become(trouble: FakeTrouble): void {
    rmSync(join(this.root, 'world'), { recursive: true, force: true });
    for (const [name, one] of Object.entries(this.packages)) {
      const tar = tarArchive(one.content);
      const file = fileNameOf(name, one);
      this.write(`world/uri/${name}`, uriLine(file, tar));
      this.write(`world/pool/${name}/${file}`, name === trouble.damages ? tar.fill(0, 0, 4) : tar);
      const depends = (one.depends ?? []).map((other) => `${other} (= 1)`).join(', ');
      this.write(`world/show/${name}`, `Package: ${name}\nDepends: ${depends}\n`);
    }
    for (const name of Object.keys(this.packages)) {
      const lines = this.closure(name).map((one) => this.read(`world/uri/${one}`));
      this.write(`world/closure/${name}`, lines.join(''));
    }
    const places = Object.entries({
      root: this.root,
      sourceList: join(this.root, 'sources.list'),
      sourceParts: join(this.root, 'sources.list.d'),
      trustedParts: join(this.root, 'trusted.gpg.d'),
    });
    this.write('world/shell', places.map(([key, value]) => `${key}='${value}'\n`).join(''));
    this.write('world/dump', (trouble.configuration ?? []).join('\n'));
    for (const [verb, lines] of Object.entries(trouble.errors ?? {})) {
      this.write(`world/errors/${verb}`, lines.join('\n'));
    }
    if (trouble.hangs) this.write('world/hangs', '');
  }

  /** Every call of a tool since the last time that this was asked. */
  calls(): string[] {
    const log = join(this.root, 'calls.log');
    const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
    rmSync(log, { force: true });
    return text.split('\n').filter((line) => line !== '');
  }

  without(...paths: readonly string[]): void {
    for (const path of paths) rmSync(join(this.root, path), { recursive: true });
  }

  write(path: string, content: string | Uint8Array): void {
    const whole = join(this.root, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, content);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  /** A package that is not there is nobody's dependency: only the kernel's scripts need one. */
  private closure(name: string): string[] {
    const depends = (this.packages[name]?.depends ?? []).filter((one) => one in this.packages);
    return [name, ...depends.flatMap((one) => this.closure(one))];
  }
}

function fileNameOf(name: string, { version, architecture }: FakePackage): string {
  return `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`;
}

function uriLine(file: string, tar: Buffer): string {
  const sha256 = createHash('sha256').update(tar).digest('hex');
  return `'http://mirror/pool/${file}' ${file} ${tar.length} SHA256:${sha256}\n`;
}

/** Nothing but the header that a loader looks for. */
function flatImage(): Buffer {
  const image = Buffer.alloc(256, 0x4b);
  image.write('RISCV\0\0\0', 0x30, 'latin1');
  image.write('RSC\x05', 0x38, 'latin1');
  return image;
}
