import type { FileTree } from './file-tree.ts';
import { type InitScript, ownInitScripts } from './init-scripts.ts';
import { aliasFile, dependencyFile, type KernelModule } from './kernel-modules.ts';
import { prologue, SCRIPTS_DIRECTORY } from './prologue.ts';

/** What scripts of packages would have made on a disk, as far as programs look for it. */
const ACCOUNTS: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  'etc/group': 'root:x:0:\n',
  'etc/hosts': '127.0.0.1 localhost sterna\n',
};

/** Directories, devices and files that a guest must have before its first program runs. */
export function addRoot(tree: FileTree): void {
  for (const path of ['dev', 'proc', 'sys', 'run', 'mnt', 'etc', 'var/log', 'var/lib']) {
    tree.directory(path);
  }
  tree.directory('root', 0o700);
  for (const path of ['tmp', 'var/tmp']) tree.directory(path, 0o1777);
  // Linux opens it for init before anything is mounted.
  tree.character('dev/console', 5, 1, 0o600);
  for (const [path, text] of Object.entries(ACCOUNTS)) {
    if (!tree.has(path)) tree.file(path, text);
  }
}

/** Modules, and the lists by which `modprobe` and the kernel itself find them. */
export function addKernelModules(
  tree: FileTree,
  kernelVersion: string,
  modules: readonly KernelModule[],
): void {
  const directory = `usr/lib/modules/${kernelVersion}`;
  for (const { path, bytes } of modules) tree.file(`${directory}/${path}`, bytes);
  tree.file(`${directory}/modules.dep`, dependencyFile(modules));
  tree.file(`${directory}/modules.alias`, aliasFile(modules));
}

/** `/init`, and every script that it can go on with. */
export function addScripts(
  tree: FileTree,
  kernelVersion: string,
  loaded: readonly KernelModule[],
  chosen: InitScript,
): void {
  for (const { name, text } of [...ownInitScripts(), chosen]) {
    tree.file(`${SCRIPTS_DIRECTORY}/${name}`, text, 0o755);
  }
  tree.file('init', prologue(kernelVersion, loaded, chosen), 0o755);
}
