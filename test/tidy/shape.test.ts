import { basename, dirname } from 'node:path';
import { expect, test } from 'vitest';
import { exists, isAssemblyScript, listFiles, typescriptFiles } from './support/repository.ts';

const LINES_MAX = 400;
const COLUMNS_MAX = 100;
/** Besides index.ts. */
const FOLDER_FILES_MAX = 15;
/** Names that say nothing about what is inside. */
const EMPTY_NAMES = /^(utils?|common|helpers?|misc|manager)(\.|$)/;

const sources = typescriptFiles('src', { assemblyScript: true });
const tests = typescriptFiles('test');

test('no file is longer than its cap', () => {
  const tooLong = [...sources, ...tests].flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n').length;
    return lines > LINES_MAX ? [`${path}: ${lines} lines, at most ${LINES_MAX}: split it`] : [];
  });
  expect(tooLong).toEqual([]);
});

test('comments are no wider than the code', () => {
  // The formatter keeps code within 100 columns; it leaves comments alone.
  const tooWide = [...sources, ...tests].flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const isComment = /^\s*(\/\/|\/\*|\*)/.test(line);
      return isComment && line.length > COLUMNS_MAX ? [`${path}:${index + 1}`] : [];
    }),
  );
  expect(tooWide).toEqual([]);
});

test('no folder of src has more files than one looks through', () => {
  const counts = new Map<string, number>();
  const nouns = sources.filter(({ path }) => basename(path) !== 'index.ts');
  for (const { path } of nouns) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  const tooMany = [...counts].filter(([, count]) => count > FOLDER_FILES_MAX);
  expect(tooMany.map(([folder, count]) => `${folder}: ${count} files`)).toEqual([]);
});

test('every folder of src has a README.md and an index.ts', () => {
  const folders = new Set(
    sources
      .map(({ path }) => path.split('/').slice(0, 2).join('/'))
      .filter((path) => !path.endsWith('.ts')),
  );
  const missing = [...folders].flatMap((folder) =>
    ['README.md', 'index.ts'].map((name) => `${folder}/${name}`).filter((path) => !exists(path)),
  );
  expect(missing).toEqual([]);
});

test('files are named in kebab-case, after what they hold', () => {
  const names = listFiles('src')
    .concat(listFiles('test'))
    .filter((path) => path.endsWith('.ts'));
  expect(names.filter((path) => !/^[a-z0-9.-]+$/.test(basename(path)))).toEqual([]);
  expect(names.filter((path) => EMPTY_NAMES.test(basename(path)))).toEqual([]);
});

test('AssemblyScript folders are known to the rules', () => {
  // A decorated function is AssemblyScript: a folder of it that the rules take for TypeScript would
  // be a mistake.
  const strays = sources.filter(
    ({ path, text }) => !isAssemblyScript(path) && /^\s*@(inline|unsafe|external)\b/m.test(text),
  );
  expect(strays.map(({ path }) => path)).toEqual([]);
});
