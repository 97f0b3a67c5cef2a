import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  add,
  convert,
  DOUBLE,
  div,
  fromInteger,
  mul,
  nanOf,
  type Result,
  relate,
  SINGLE,
  sqrt,
  sub,
} from '../../../reference/ieee754.ts';
import { FORMATS, pairs, quotients, radicands, registers } from './float-arbitraries.ts';

/**
 * The reference itself, where JavaScript has the same arithmetic: doubles, and singles through
 * Math.fround(), rounded to the nearest even. Neither flags nor other modes can be seen there.
 */

const view = new DataView(new ArrayBuffer(8));

const CODECS = {
  f64: {
    decode: (bits: bigint) => {
      view.setBigUint64(0, bits);
      return view.getFloat64(0);
    },
    encode: (number: number) => {
      if (Number.isNaN(number)) return nanOf(DOUBLE);
      view.setFloat64(0, number);
      return view.getBigUint64(0);
    },
    rounded: (number: number) => number,
  },
  f32: {
    decode: (bits: bigint) => {
      view.setUint32(0, Number(bits));
      return view.getFloat32(0);
    },
    encode: (number: number) => {
      if (Number.isNaN(number)) return nanOf(SINGLE);
      view.setFloat32(0, number);
      return BigInt(view.getUint32(0));
    },
    rounded: Math.fround,
  },
};

const BINARY = {
  add: { exact: add, machine: (a: number, b: number) => a + b },
  sub: { exact: sub, machine: (a: number, b: number) => a - b },
  mul: { exact: mul, machine: (a: number, b: number) => a * b },
  div: { exact: div, machine: (a: number, b: number) => a / b },
};

const NEAREST = 'nearest-even';
const hex = ({ value }: Pick<Result, 'value'>) => value.toString(16);

describe.each(FORMATS)('$prefix', ({ format, prefix }) => {
  const { decode, encode, rounded } = CODECS[prefix];

  test.each(['add', 'sub', 'mul', 'div'] as const)('%s() is what the machine says', (name) => {
    const { exact, machine } = BINARY[name];
    fc.assert(
      fc.property(fc.oneof(pairs(format), quotients(format)), ([a, b]) => {
        const expected = encode(rounded(machine(decode(a), decode(b))));
        expect(hex(exact(format, a, b, NEAREST))).toBe(hex({ value: expected }));
      }),
    );
  });

  test('sqrt() is what the machine says', () => {
    fc.assert(
      fc.property(radicands(format), (a) => {
        const expected = encode(rounded(Math.sqrt(decode(a))));
        expect(hex(sqrt(format, a, NEAREST))).toBe(hex({ value: expected }));
      }),
    );
  });

  test('fromInteger() is what the machine says', () => {
    fc.assert(
      fc.property(registers, (register) => {
        // Of 53 bits, which Number() takes as they are.
        const held = BigInt.asUintN(53, register);
        const type = { bits: 64, isSigned: false } as const;
        const expected = encode(rounded(Number(held)));
        expect(hex(fromInteger(format, type, held, NEAREST))).toBe(hex({ value: expected }));
      }),
    );
  });

  test('relate() is what the machine says', () => {
    fc.assert(
      fc.property(pairs(format), ([a, b]) => {
        const [x, y] = [decode(a), decode(b)];
        const expected = [x === y, x < y, x <= y].map((holds) => (holds ? 1n : 0n));
        const actual = (['eq', 'lt', 'le'] as const).map(
          (relation) => relate(format, relation, a, b).value,
        );
        expect(actual).toEqual(expected);
      }),
    );
  });
});

test('convert() is what the machine says', () => {
  fc.assert(
    fc.property(pairs(DOUBLE), ([a]) => {
      const narrow = CODECS.f32.encode(Math.fround(CODECS.f64.decode(a)));
      expect(hex(convert(DOUBLE, SINGLE, a, NEAREST))).toBe(hex({ value: narrow }));
      const wide = CODECS.f64.encode(CODECS.f32.decode(narrow));
      expect(hex(convert(SINGLE, DOUBLE, narrow, NEAREST))).toBe(hex({ value: wide }));
    }),
  );
});
