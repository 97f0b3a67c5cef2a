import { describe, expect, it } from 'vitest';
import { checkArguments } from '../../../src/control/qmp/qmp-command.ts';

const schema = {
  text: { type: 'string' },
  count: { type: 'integer', optional: true },
  flag: { type: 'boolean', optional: true },
  list: { type: 'array', optional: true },
  map: { type: 'object', optional: true },
} as const;

function problem(values: Record<string, unknown>): string {
  try {
    checkArguments(schema, values);
    return 'none';
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

describe('checkArguments()', () => {
  it('passes when required ones are there and types fit', () => {
    expect(problem({ text: '' })).toBe('none');
    expect(problem({ text: 'a', count: -1, flag: false, list: [], map: {} })).toBe('none');
  });

  it.each([
    [{}, "Parameter 'text' is missing"],
    [{ text: 'a', other: 1 }, "Parameter 'other' is unexpected"],
    [JSON.parse('{"text":"a","__proto__":1}'), "Parameter '__proto__' is unexpected"],
    [{ text: 'a', constructor: 1 }, "Parameter 'constructor' is unexpected"],
    [{ text: 1 }, "Invalid parameter type for 'text', expected: string"],
    [{ text: null }, "Invalid parameter type for 'text', expected: string"],
    [{ text: 'a', count: 1.5 }, "Invalid parameter type for 'count', expected: integer"],
    [{ text: 'a', count: '1' }, "Invalid parameter type for 'count', expected: integer"],
    [{ text: 'a', flag: 0 }, "Invalid parameter type for 'flag', expected: boolean"],
    [{ text: 'a', list: {} }, "Invalid parameter type for 'list', expected: array"],
    [{ text: 'a', map: [] }, "Invalid parameter type for 'map', expected: object"],
  ])('uses the words of QEMU when given %j', (values, expected) => {
    expect(problem(values)).toBe(expected);
  });
});
