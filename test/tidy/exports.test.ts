import { expect, test } from 'vitest';
import { listFiles, readFile, typescriptFiles } from './support/repository.ts';

const DECLARATION = /^export (?:async )?(?:const|function\*?|class) (\w+)/gm;

test('nothing is exported that no other file uses', () => {
  const scripts = listFiles()
    .filter((path) => path.endsWith('.mjs'))
    .map(readFile);
  const files = [...typescriptFiles('src'), ...typescriptFiles('test'), ...scripts].map(
    ({ path, text }) => ({ path, text, words: wordsOf(path, text) }),
  );
  const unused = files
    .filter(({ path }) => path.startsWith('src/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(DECLARATION)].flatMap(([, name = '']) =>
        files.some((user) => user.path !== path && user.words.has(name))
          ? []
          : [`${path}: ${name}`],
      ),
    );
  expect(unused).toEqual([]);
});

/** What an index passes on is no use of it; but that of the package is the library. */
function wordsOf(path: string, text: string): ReadonlySet<string> {
  const isPassing = path.endsWith('/index.ts') && path !== 'src/index.ts';
  const used = isPassing ? text.replaceAll(/^export (?:type )?\{[^}]*\} from .*$/gm, '') : text;
  return new Set(used.match(/[\w$]+/g));
}
