import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/base/index.ts';
import { buildProgram } from '../../src/cli/index.ts';
import {
  drawingsOf,
  evaluationDocument,
  recordsIn,
  SCENARIOS,
} from '../../src/experiments/evaluation/index.ts';
// A plain module: it also runs where nothing is built.
// @ts-expect-error It has no types.
import { currentErrorsDocument, errorsDocument } from '../../tools/gen-docs.mjs';
import { fakeContext } from '../support/cli-context.ts';
import { exists, listFiles, packageJson, readFile, typescriptFiles } from './support/repository.ts';

const files = listFiles();
const documents = files.filter((path) => path.endsWith('.md')).map(readFile);

/** Decisions and history speak of what was; everything else of what is. */
const isHistory = (path: string) => path.startsWith('docs/adr/') || path === 'CHANGELOG.md';

test('links of the documents lead somewhere', () => {
  const broken = documents.flatMap(({ path, text }) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
      if (/^[a-z]+:/.test(target)) return [];
      const [file = '', anchor] = target.split('#');
      const resolved = file === '' ? path : normalize(join(dirname(path), file));
      if (!exists(resolved)) return [`${path}: ${target}`];
      if (anchor === undefined || !resolved.endsWith('.md')) return [];
      return headingsOf(readFile(resolved).text).includes(anchor) ? [] : [`${path}: ${target}`];
    }),
  );
  expect(broken).toEqual([]);
});

test('files that the documents name exist', () => {
  const named =
    /`([\w.-]+(?:\/[\w.-]+)+\.(?:ts|mjs|md|yml)|(?:src|test|docs|tools|bench|docker|bin|results|examples)\/[\w./-]*\w)\/?`/g;
  const missing = documents
    .filter(({ path }) => !isHistory(path))
    .flatMap(({ path, text }) =>
      [...text.matchAll(named)].flatMap(([, name = '']) => {
        // As seen from the document's folder, or from any other one.
        const isThere =
          exists(normalize(join(dirname(path), name))) ||
          files.some((file) => `/${file}`.endsWith(`/${name}`)) ||
          exists(name);
        return isThere ? [] : [`${path}: ${name}`];
      }),
    );
  expect(missing).toEqual([]);
});

test('npm scripts that the documents name exist', () => {
  const { scripts } = packageJson();
  const missing = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\bnpm run ([\w:-]+)/g)].flatMap(([, name = '']) =>
      name in scripts ? [] : [`${path}: npm run ${name}`],
    ),
  );
  expect(missing).toEqual([]);
});

test('sterna commands that the documents show have these options', () => {
  const program = buildProgram(fakeContext().context, '0.0.0', async () => {});
  const wrong = documents
    .filter(({ path }) => !isHistory(path))
    .flatMap(({ path, text }) =>
      commandLines(text).flatMap((line) => {
        const words = line.split(/\s+/);
        const command = commandNamed(program, words);
        if (command === undefined) return [`${path}: sterna ${line}`];
        const known = new Set([...command.options.map((option) => option.long), '--help']);
        return words
          .map((word) => /^\[?(--[a-z-]+)/.exec(word)?.[1])
          .filter((option) => option !== undefined && !known.has(option))
          .map((option) => `${path}: sterna ${command.name()} ${option}`);
      }),
    );
  expect(wrong).toEqual([]);
});

test('docs/errors.md is current', () => {
  // After a change of base/errors.ts: npm run build && node tools/gen-docs.mjs
  expect(currentErrorsDocument()).toBe(errorsDocument(ERROR_CODES));
});

test('docs/evaluation.md and its plots are what results/ say', () => {
  // After a change of a scenario: npm run experiments -- --report
  const records = recordsIn('results');
  const drawings = drawingsOf(SCENARIOS, records);
  expect(readFile('docs/evaluation.md').text).toBe(
    evaluationDocument(SCENARIOS, records, drawings),
  );
  const plots = listFiles().filter((path) => path.startsWith('docs/evaluation/'));
  expect(plots.sort()).toEqual(drawings.map(({ file }) => `docs/evaluation/${file}`).sort());
  for (const { file, svg } of drawings) {
    expect(readFile(`docs/evaluation/${file}`).text, file).toBe(svg);
  }
});

test('every error code is used somewhere', () => {
  const source = typescriptFiles('src')
    .filter(({ path }) => path !== 'src/base/errors.ts')
    .map(({ text }) => text)
    .join('\n');
  const codes = Object.keys(ERROR_CODES);
  expect(codes.filter((code) => !new RegExp(`['"]${code}['"]`).test(source))).toEqual([]);
});

test('numbers of error codes are unique', () => {
  const numbers = Object.values(ERROR_CODES).map(([number]) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
});

/** The command of a line, perhaps one below another, such as `image debian`. */
function commandNamed(program: Command, words: readonly string[]): Command | undefined {
  const [name, ...rest] = words;
  const command = program.commands.find((one) => one.name() === name);
  if (command === undefined || command.commands.length === 0) return command;
  return commandNamed(command, rest);
}

/** What stands after `sterna`, in code blocks and in backticks. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/```[a-z]*\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
    block.replaceAll('\\\n', ' ').split('\n'),
  );
  const spans = [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, span = '']) => span,
  );
  return [...blocks, ...spans].flatMap((line) => {
    const match = /^\s*(?:\$ )?(?:node )?(?:\.\/)?(?:bin\/)?sterna +([a-z][^#|]*)/.exec(line);
    return match?.[1] === undefined ? [] : [match[1].trim()];
  });
}

function withoutCode(text: string): string {
  return text.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/`[^`\n]*`/g, '');
}

/** Anchors as GitHub makes them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
