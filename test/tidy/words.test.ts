import { expect, test } from 'vitest';
import { listFiles, readFile, typescriptFiles } from './support/repository.ts';
import { lineAt, scanSource } from './support/scan.ts';

interface Rule {
  /** Searched in the code, comments and texts left out. */
  readonly pattern: RegExp;
  readonly instead: string;
  readonly applies: (path: string) => boolean;
}

const inSource = (path: string) => path.startsWith('src/');
const inTest = (path: string) => path.startsWith('test/');
/** The shell of a program: the command line, and the entries of others such as the simulator. */
const isShell = (path: string) => path.startsWith('src/cli/') || path.endsWith('-main.ts');
const inEngine = (path: string) => /^src\/(source|destination|protocol)\//.test(path);

const RULES: readonly Rule[] = [
  { pattern: /\bMath\.random\b/, instead: 'Random of base, with a seed', applies: () => true },
  {
    pattern: /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s/m,
    instead: 'a const object',
    applies: () => true,
  },
  {
    pattern: /^\s*export\s+default\b/m,
    instead: 'a named export',
    applies: (path) => !path.endsWith('.config.ts'),
  },
  { pattern: /(:|\bas|<|\|)\s*any\b(?!\()/, instead: 'unknown, and a check', applies: () => true },
  { pattern: /\.(skip|only|todo)\(/, instead: 'a test that runs', applies: inTest },
  {
    pattern: /^(export\s+)?let\s/m,
    instead: 'state in an object that somebody owns',
    applies: inSource,
  },
  {
    pattern: /(?<![.\w])console\.(log|error|warn|info|debug|trace|table)\b/,
    instead: 'the logger',
    applies: (path) => inSource(path) && !isShell(path),
  },
  {
    pattern: /\bprocess\.(env|argv|exit\b|stdout|stdin)/,
    instead: 'an option that is passed down',
    applies: (path) => inSource(path) && !isShell(path),
  },
  {
    pattern: /\b(Date\b|performance\.|setTimeout\b|setInterval\b|setImmediate\b)/,
    instead: 'the Clock that was passed in',
    applies: inEngine,
  },
  { pattern: /@ts-(ignore|nocheck)/, instead: 'a type that holds', applies: () => true },
  { pattern: /\b(src|dst)\b/, instead: 'source, destination', applies: inSource },
];

test('forbidden words and constructs are not in the code', () => {
  const found = [
    ...typescriptFiles('src'),
    ...typescriptFiles('test'),
    ...typescriptFiles('bench'),
  ].flatMap(({ path, text }) => {
    const { bare } = scanSource(text);
    return RULES.filter((rule) => rule.applies(path)).flatMap(({ pattern, instead }) => {
      const match = pattern.exec(bare);
      if (match === null) return [];
      return [`${path}:${lineAt(bare, match.index)}: ${match[0].trim()} (instead: ${instead})`];
    });
  });
  expect(found).toEqual([]);
});

test('scanSource() tells code from comments, texts and regular expressions', () => {
  const { bare, code } = scanSource(
    ["a('x // y', /[/'\"]/, `t$", "{b('}')}t`); // c\n/* d */ e / f / g"].join(''),
  );
  expect(bare.replaceAll(/\s+/g, ' ').trim()).toBe('a( , , b( ) ); e / f / g');
  expect(code).toContain('x // y');
  expect(code).not.toContain('d');
});

/** In pieces, so that this file does not find itself. */
const MACHINE_TRACES: readonly RegExp[] = [
  new RegExp(`/${'work'}/(main|shared|\\.)`),
  new RegExp(`/tmp/${'bash_jobs'}`),
  new RegExp(`/${'root'}/`),
  new RegExp(`/home/${'[a-z]+'}/`),
  new RegExp(`https?://[^\\s"')]*(${['npm', 'debian', 'yarn'].join('|')})[^\\s"')]*\\.(org|com)`),
];

test('no path of a machine and no host of a registry is in the repository', () => {
  const texts = listFiles().filter((path) =>
    /\.(ts|mjs|js|json|md|yml|sh|svg)$|^[^.]+$/.test(path),
  );
  const found = texts.flatMap((path) => {
    const { text } = readFile(path);
    return MACHINE_TRACES.flatMap((pattern) => {
      const match = pattern.exec(text);
      return match === null ? [] : [`${path}:${lineAt(text, match.index)}: ${match[0]}`];
    });
  });
  expect(found).toEqual([]);
});

test('package-lock.json records no download addresses', () => {
  // .npmrc has omit-lockfile-registry-resolved=true: another registry must be able to serve the
  // same lock file.
  expect(readFile('package-lock.json').text).not.toContain('"resolved": "http');
});
