import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { BODY_BYTES_MAX, type ControlName } from '../../../src/protocol/index.ts';
import { MESSAGE_CASES } from './message-arbitraries.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const TRUNCATIONS = 64;
const OPTIONAL_FIELDS: Readonly<Partial<Record<ControlName, readonly string[]>>> = {
  VERIFY_END: ['partial'],
  ERROR: ['phase', 'guestOwner', 'detail'],
  HELLO: ['secret'],
  JOIN: ['claimedEpoch', 'journal'],
  SWITCHOVER: ['missingPages'],
};

describe.each(MESSAGE_CASES)('$name', ({ name, encode, decode, body }) => {
  test('decode() returns what encode() was given', () => {
    fc.assert(
      fc.property(body, (value) => {
        const bytes = encode(value as never);
        expect(bytes.length).toBeLessThanOrEqual(BODY_BYTES_MAX[name]);
        expect(decode(bytes)).toEqual({ kind: 'ok', body: value });
      }),
      { numRuns: 60 },
    );
  });

  test('decode() ignores fields that it does not know', () => {
    fc.assert(
      fc.property(body, fc.jsonValue({ maxDepth: 3 }), (value, extra) => {
        const later = packr.pack({ ...value, aFieldOfTheFuture: JSON.parse(clean(extra)) });
        expect(decode(later)).toEqual({ kind: 'ok', body: value });
      }),
      { numRuns: 30 },
    );
  });

  test('decode() says malformed when the body is cut or is followed by a byte', () => {
    fc.assert(
      fc.property(body, (value) => {
        const bytes = encode(value as never);
        const step = Math.max(1, Math.floor(bytes.length / TRUNCATIONS));
        for (let length = 0; length < bytes.length; length += step) {
          expect(decode(bytes.subarray(0, length)).kind).toBe('malformed');
        }
        expect(decode(new Uint8Array([...bytes, 0])).kind).toBe('malformed');
      }),
      { numRuns: 20 },
    );
  });

  test('decode() names the field when one is missing or of another type', () => {
    fc.assert(
      fc.property(body, (value) => {
        for (const field of Object.keys(value)) {
          const { [field]: _gone, ...rest } = value as Record<string, unknown>;
          const isOptional = OPTIONAL_FIELDS[name]?.includes(field) ?? false;
          const without = decode(packr.pack(rest));
          if (without.kind === 'ok') expect(isOptional).toBe(true);
          else expect(without.error.message).toContain(`${field} is missing`);
          // No field of any message is a list of lists.
          const wrong = decode(packr.pack({ ...rest, [field]: [[]] }));
          if (wrong.kind === 'ok') throw new Error(`${field} took a list of lists`);
          expect(wrong.error.code).toBe('E_PROTOCOL_BAD_BODY');
          expect(wrong.error.message).toContain(name);
          expect(wrong.error.message).toContain(field);
        }
      }),
      { numRuns: 10 },
    );
  });
});

/** Without keys that the wire forbids. */
function clean(value: unknown): string {
  return JSON.stringify(value).replaceAll('__proto__', 'proto');
}
