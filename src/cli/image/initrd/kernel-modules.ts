import { gunzipSync } from 'node:zlib';
import { SternaError } from '../../../base/index.ts';
import { type ModuleInfo, moduleName, readModuleInfo } from './module-info.ts';

/** A module of an image, decompressed. */
export interface KernelModule {
  readonly name: string;
  /** Below `/lib/modules/VERSION/`, without the suffix of a compression. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly info: ModuleInfo;
}

export interface ModuleWishes {
  /** Loaded at boot, in this order. */
  readonly loaded: readonly string[];
  /** In the image, for `modprobe` and for what the kernel asks for by itself. */
  readonly atHand: readonly string[];
}

/** Decompresses with a program of the host; Node has neither of the two. */
export type Decompress = (program: 'xz' | 'zstd', bytes: Uint8Array) => Promise<Uint8Array>;

/** Debian's kernel has all of them as modules: without these there is neither disk nor network. */
export const MODULE_WISHES: ModuleWishes = {
  // Finds the devices; their drivers are then loaded by what each says it is. Loading all of them
  // took an interpreted guest nearly as long as its whole kernel takes to start.
  loaded: ['virtio_mmio'],
  // ext4 asks for its checksum by the name of an algorithm, which no dependency tells.
  atHand: ['virtio_blk', 'virtio_net', 'virtio_rng', 'ext4', 'crc32c_generic'],
};

/**
 * The modules of a kernel package and what they need of each other. The package has no
 * `modules.dep`: that file is made where a package is installed. So it is made here, from what each
 * module says of itself.
 */
export class KernelModules {
  /** Name -> path in the package and compressed bytes. */
  private readonly files: ReadonlyMap<string, { path: string; bytes: Uint8Array }>;
  private readonly builtIn: ReadonlySet<string>;
  private readonly decompress: Decompress;
  private readonly opened = new Map<string, KernelModule>();

  /** Paths are those below `/lib/modules/VERSION/`; `builtIn` is the text of `modules.builtin`. */
  constructor(
    files: ReadonlyMap<string, Uint8Array>,
    builtIn: string,
    decompress: Decompress = refuse,
  ) {
    const named = [...files].map(([path, bytes]) => [nameOfFile(path), { path, bytes }] as const);
    this.files = new Map(named);
    this.builtIn = new Set(builtIn.split('\n').map(nameOfFile));
    this.decompress = decompress;
  }

  /**
   * A module and all that it needs, each before what needs it; those of `before` are not repeated.
   * What is built into the kernel needs no file.
   */
  async closure(
    names: readonly string[],
    before: readonly KernelModule[] = [],
  ): Promise<KernelModule[]> {
    const order: KernelModule[] = [];
    const done = new Set(before.map(({ name }) => name));
    const visit = async (name: string, neededBy: string | undefined) => {
      if (done.has(name) || this.builtIn.has(name)) return;
      // Before its dependencies: modules that need each other end here.
      done.add(name);
      const module = await this.open(name, neededBy);
      for (const dependency of module.info.depends) await visit(dependency, name);
      order.push(module);
    };
    for (const name of names) await visit(moduleName(name), undefined);
    return order;
  }

  private async open(name: string, neededBy: string | undefined): Promise<KernelModule> {
    const known = this.opened.get(name);
    if (known !== undefined) return known;
    const file = this.files.get(name);
    if (file === undefined) {
      throw new SternaError('E_IMAGE_CONTENT', `The kernel package has no module ${name}`, {
        detail: neededBy === undefined ? {} : { 'needed-by': neededBy },
      });
    }
    const bytes = await this.plain(file.path, file.bytes);
    const path = file.path.replace(/\.ko\.\w+$/, '.ko');
    const module = { name, path, bytes, info: readModuleInfo(name, bytes) };
    this.opened.set(name, module);
    return module;
  }

  private async plain(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    if (path.endsWith('.xz')) return await this.decompress('xz', bytes);
    if (path.endsWith('.zst')) return await this.decompress('zstd', bytes);
    return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  }
}

/** `modules.dep`: each module with all that it needs, the nearest first. */
export function dependencyFile(modules: readonly KernelModule[]): string {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const needs = (module: KernelModule, found = new Set<KernelModule>()): Set<KernelModule> => {
    for (const name of module.info.depends) {
      const dependency = byName.get(name);
      if (dependency === undefined || found.has(dependency)) continue;
      found.add(dependency);
      needs(dependency, found);
    }
    return found;
  };
  const lines = modules.map((module) => {
    const paths = [...needs(module)].map(({ path }) => ` ${path}`);
    return `${module.path}:${paths.join('')}\n`;
  });
  return lines.sort().join('');
}

/** `modules.alias`: the other names by which the kernel asks for modules. */
export function aliasFile(modules: readonly KernelModule[]): string {
  const lines = modules.flatMap(({ name, info }) =>
    info.aliases.map((alias) => `alias ${alias} ${name}\n`),
  );
  return lines.sort().join('');
}

/** `kernel/drivers/char/hw_random/virtio-rng.ko.xz` -> `virtio_rng`. */
function nameOfFile(path: string): string {
  return moduleName(path.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, ''));
}

async function refuse(program: string): Promise<Uint8Array> {
  throw new SternaError('E_IMAGE_TOOL', `This host lacks ${program}`);
}
