import { formatBytes } from '../../base/index.ts';
import { AptClient } from './apt/apt-client.ts';
import type { PlannedPackage } from './apt/apt-plan.ts';
import { askHostApt, chooseArchive, requireTools } from './apt/debian-host.ts';
import { PackageCache } from './apt/package-cache.ts';
import { DebReader } from './deb-reader.ts';
import { prepareOutput, writeImage } from './image-output.ts';
import type { ImageProgress } from './image-progress.ts';
import { writeCpio } from './initrd/cpio-writer.ts';
import { FileTree } from './initrd/file-tree.ts';
import { findInitScript, type InitScript } from './initrd/init-scripts.ts';
import { KernelModules, MODULE_WISHES } from './initrd/kernel-modules.ts';
import { isKernelFile, kernelFiles } from './initrd/kernel-package.ts';
import { addKernelModules, addRoot, addScripts } from './initrd/root-files.ts';
import { missingTool, type ToolRunner } from './tool-run.ts';

export interface ImageWishes {
  readonly packages: readonly string[];
  readonly init: string;
  readonly out: string;
  readonly suite: string;
  readonly cache: string;
  readonly offline: boolean;
  readonly mirror: string | undefined;
  readonly gzip: boolean;
}

/** Has the shell and the programs that the prologue and the scripts call. */
const BASE_PACKAGE = 'busybox-static';

/**
 * Makes a kernel and a first root file system for the RISC-V machine out of Debian's packages.
 * Nothing is installed on the host, and no script of a package is run.
 */
export async function makeDebianImage(
  wishes: ImageWishes,
  tools: ToolRunner,
  progress: ImageProgress,
): Promise<string[]> {
  // What is the user's to correct is said before anything is fetched.
  const init = findInitScript(wishes.init);
  requireTools(tools);
  await prepareOutput(wishes.out);
  const cache = await PackageCache.open(wishes.cache);
  try {
    const { kernel, packages } = await fetchPackages(wishes, cache, tools, progress);
    return await assemble(wishes, init, { kernel, packages }, cache, tools, progress);
  } finally {
    cache.close();
  }
}

interface Planned {
  readonly kernel: PlannedPackage;
  readonly packages: readonly PlannedPackage[];
}

async function fetchPackages(
  wishes: ImageWishes,
  cache: PackageCache,
  tools: ToolRunner,
  progress: ImageProgress,
): Promise<Planned> {
  const host = await askHostApt(tools);
  const apt = new AptClient(tools, host, cache.directory, wishes.suite);
  if (wishes.offline) {
    await apt.useCachedLists();
  } else {
    const archive = await chooseArchive(host, wishes.mirror);
    progress.step('lists', `fetches the package lists of ${wishes.suite}`);
    await apt.update(archive);
  }
  progress.step('plan', 'resolves dependencies');
  const packages = await apt.plan([BASE_PACKAGE, ...wishes.packages]);
  const kernel = await apt.planKernel();
  const missing = await cache.missing([kernel, ...packages]);
  if (missing.length > 0 && wishes.offline) throw cache.lacks(missing);
  if (missing.length > 0) {
    const bytes = formatBytes(missing.reduce((sum, one) => sum + one.bytes, 0));
    progress.step('fetch', `fetches ${missing.length} packages, ${bytes}`);
    await cache.add(missing, (wanted, directory) =>
      apt.download(wanted, directory, (percent) => progress.percent('fetch', percent)),
    );
  }
  return { kernel, packages };
}

async function assemble(
  wishes: ImageWishes,
  init: InitScript,
  planned: Planned,
  cache: PackageCache,
  tools: ToolRunner,
  progress: ImageProgress,
): Promise<string[]> {
  const debs = new DebReader(tools);
  progress.step('kernel', `unpacks ${planned.kernel.name}`);
  const kernel = kernelFiles(await debs.read(cache.path(planned.kernel), isKernelFile));
  const available = new KernelModules(kernel.modules, kernel.builtIn, async (program, bytes) => {
    if (tools.find(program) === undefined) throw missingTool(program);
    return await debs.decompress(program, bytes);
  });
  const loaded = await available.closure(MODULE_WISHES.loaded);
  const atHand = await available.closure(MODULE_WISHES.atHand, loaded);
  progress.step('packages', `unpacks ${planned.packages.length} packages`);
  const tree = new FileTree();
  for (const one of planned.packages) {
    for (const entry of await debs.read(cache.path(one), FileTree.isWanted)) tree.add(entry);
  }
  addRoot(tree);
  addKernelModules(tree, kernel.version, [...loaded, ...atHand]);
  addScripts(tree, kernel.version, loaded, init);
  progress.step('write', `writes ${wishes.out}, ${formatBytes(tree.fileBytes)} of files`);
  return await writeImage(wishes.out, {
    kernel: kernel.image,
    initrd: writeCpio(tree),
    gzip: wishes.gzip,
    manifest: {
      format: 1,
      suite: wishes.suite,
      architecture: 'riscv64',
      'kernel-version': kernel.version,
      init: init.name,
      modules: [...loaded, ...atHand].map(({ name }) => name),
      'requested-packages': wishes.packages,
      packages: [planned.kernel, ...planned.packages].map(
        ({ name, version, architecture, sha256, bytes }) => ({
          ...{ name, version, architecture, sha256, bytes },
        }),
      ),
    },
  });
}
