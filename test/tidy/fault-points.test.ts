import { expect, test } from 'vitest';
import { FAULT_POINTS } from '../../src/base/index.ts';
import { typescriptFiles } from './support/repository.ts';

test('a process dies at every fault point in some test', () => {
  const texts = typescriptFiles('test/integration').map(({ text }) => text);
  expect(FAULT_POINTS.filter((point) => !texts.some((text) => text.includes(point)))).toEqual([]);
});
