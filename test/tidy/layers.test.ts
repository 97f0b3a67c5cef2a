import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { packageJson, typescriptFiles } from './support/repository.ts';
import { importedModules, scanSource } from './support/scan.ts';

/**
 * Folder -> folders that it may import. Files directly in `src` are the library's door and may
 * import all.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ['base'],
  guestmem: ['base'],
  guest: ['base', 'guestmem'],
  channel: ['base', 'protocol'],
  source: ['base', 'protocol', 'guestmem', 'channel'],
  destination: ['base', 'protocol', 'guestmem', 'channel'],
  control: ['base', 'protocol', 'guestmem', 'guest', 'channel', 'source', 'destination'],
  // control: its client. The engines and what they need: the simulator.
  experiments: [
    ...['base', 'protocol', 'guestmem', 'guest', 'channel', 'source', 'destination'],
    'control',
  ],
  // Both engines in one thread: no process, no socket, so nothing of control.
  'experiments/simulation': [
    ...['base', 'protocol', 'guestmem', 'guest', 'channel', 'source', 'destination'],
  ],
  cli: ['base', 'protocol', 'control', 'experiments'],
};

/** Doors besides each folder's index.ts. */
const OTHER_DOORS = [
  'src/control/client/index.ts',
  'src/experiments/plan/index.ts',
  'src/experiments/simulation/index.ts',
];

/** Node's modules that only some folders, or folders in them, may use. */
const WALLED_MODULES: Readonly<Record<string, readonly string[]>> = {
  'node:net': ['channel', 'control', 'experiments/clients', 'experiments/linux'],
  'node:tls': ['channel', 'control'],
  'node:http': ['control'],
  'node:child_process': ['experiments', 'cli/image'],
  'node:worker_threads': ['guest', 'guestmem', 'control'],
};

interface Import {
  readonly file: string;
  readonly folder: string;
  readonly specifier: string;
  /** Path from the root, for an import of ours. */
  readonly target: string | undefined;
}

const imports: readonly Import[] = typescriptFiles('src').flatMap((file) =>
  importedModules(scanSource(file.text)).map((specifier) => ({
    file: file.path,
    folder: folderOf(file.path),
    specifier,
    target: specifier.startsWith('.') ? join(dirname(file.path), specifier) : undefined,
  })),
);

function folderOf(path: string): string {
  const [, folder = '', rest] = path.split('/');
  return rest === undefined ? '' : folder;
}

function layersBelow(file: string, folder: string): readonly string[] {
  const subfolder = file.split('/').slice(1, 3).join('/');
  return MAY_IMPORT[subfolder] ?? MAY_IMPORT[folder] ?? [];
}

function wrong(isWrong: (found: Import) => string | undefined): string[] {
  return imports.flatMap((found) => {
    const reason = isWrong(found);
    return reason === undefined ? [] : [`${found.file} imports ${found.specifier}: ${reason}`];
  });
}

test('imports are found in every form', () => {
  const text = `import a from './a.ts'; import type { B } from "./b.ts";
    import './c.ts'; export * from './d.ts'; const e = await import('./e.ts');
    export { F } from './f.ts'; // import './no.ts'
    const text = "not from './no.ts'";
    import {
      g,
    } from './g.ts';`;
  const found = importedModules(scanSource(text)).sort();
  expect(found.filter((specifier) => specifier !== './no.ts')).toEqual(
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => `./${name}.ts`),
  );
});

test('every folder of src has a place in the layers', () => {
  const folders = new Set(imports.map(({ folder }) => folder));
  expect([...folders].filter((folder) => folder !== '' && !(folder in MAY_IMPORT))).toEqual([]);
});

test('a folder imports only the layers below it', () => {
  expect(
    wrong(({ file, folder, target }) => {
      if (target === undefined || folder === '') return undefined;
      if (!target.startsWith('src/')) return 'it is outside of src';
      const other = folderOf(target);
      const allowed = layersBelow(file, folder);
      if (other === folder || allowed.includes(other)) return undefined;
      return `${folder} may import ${allowed.join(', ') || 'nothing of ours'}`;
    }),
  ).toEqual([]);
});

test('another folder is imported through its index.ts', () => {
  expect(
    wrong(({ folder, target }) => {
      if (target === undefined || !target.startsWith('src/')) return undefined;
      const other = folderOf(target);
      if (other === folder || other === '') return undefined;
      const isDoor = target === `src/${other}/index.ts` || OTHER_DOORS.includes(target);
      return isDoor ? undefined : `use src/${other}/index.ts`;
    }),
  ).toEqual([]);
});

test('experiments see of control its client only', () => {
  expect(
    wrong(({ folder, target }) =>
      folder === 'experiments' && target === 'src/control/index.ts'
        ? 'use src/control/client/index.ts'
        : undefined,
    ),
  ).toEqual([]);
});

test('packages are dependencies, and Node modules are written with node:', () => {
  const { dependencies } = packageJson();
  expect(
    wrong(({ specifier, target }) => {
      if (target !== undefined || specifier.startsWith('node:')) return undefined;
      if (builtinModules.includes(specifier)) return `write node:${specifier}`;
      const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1);
      return name.join('/') in dependencies ? undefined : 'it is not in dependencies';
    }),
  ).toEqual([]);
});

test('sockets, processes and threads stay behind their walls', () => {
  expect(
    wrong(({ file, specifier }) => {
      const allowed = WALLED_MODULES[specifier];
      return allowed === undefined || allowed.some((folder) => file.startsWith(`src/${folder}/`))
        ? undefined
        : `only ${allowed.join(', ')} may use it`;
    }),
  ).toEqual([]);
});
