import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** AssemblyScript: not TypeScript to anybody but its own compiler. */
export const ASSEMBLYSCRIPT_FOLDERS = [
  'src/guestmem/kernels',
  'src/guestmem/soft-mmu',
  'src/guest/programs',
  'src/guest/riscv/hart',
  'src/guest/riscv/float',
];

const NOT_OURS = new Set(['node_modules', 'dist', '.git', 'coverage', 'results', 'corpus']);

export interface RepositoryFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Paths of all files below a folder, from the root, sorted. */
export function listFiles(folder = '.'): string[] {
  const found: string[] = [];
  const visit = (directory: string) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (NOT_OURS.has(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) found.push(relative(ROOT, path).replaceAll('\\', '/'));
    }
  };
  visit(join(ROOT, folder));
  return found.sort();
}

export function readFile(path: string): RepositoryFile {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** The TypeScript files below a folder. */
export function typescriptFiles(folder: string, options: { assemblyScript?: boolean } = {}) {
  return listFiles(folder)
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .filter((path) => options.assemblyScript || !isAssemblyScript(path))
    .map(readFile);
}

export function isAssemblyScript(path: string): boolean {
  return ASSEMBLYSCRIPT_FOLDERS.some((folder) => path.startsWith(`${folder}/`));
}

export function isFolder(path: string): boolean {
  try {
    return statSync(join(ROOT, path)).isDirectory();
  } catch {
    return false;
  }
}

export function exists(path: string): boolean {
  try {
    statSync(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

export function packageJson(): {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
} {
  // Our own file; its shape is what npm demands.
  return JSON.parse(readFile('package.json').text);
}
