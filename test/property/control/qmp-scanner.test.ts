import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type QmpInput, QmpScanner } from '../../../src/control/qmp/qmp-scanner.ts';

/**
 * However the stream is cut into packets, the same texts come out; and nothing that comes makes it
 * throw.
 */

function scan(bytes: Buffer, cuts: readonly number[]): QmpInput[] {
  const scanner = new QmpScanner();
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  places.sort((a, b) => a - b);
  return places.flatMap((end, index) => scanner.push(bytes.subarray(places[index - 1] ?? 0, end)));
}

const lines = fc.array(
  fc.oneof(
    fc.json({ maxDepth: 3 }),
    fc.object().map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary', maxLength: 20 }),
  ),
  { maxLength: 8 },
);

describe('QmpScanner', () => {
  it('push() returns the same when the packets are cut elsewhere', () => {
    fc.assert(
      fc.property(lines, fc.array(fc.nat()), (texts, cuts) => {
        const bytes = Buffer.from(texts.join('\n'));
        expect(scan(bytes, cuts)).toEqual(scan(bytes, []));
      }),
    );
  });

  it('push() returns every object when each is on a line', () => {
    fc.assert(
      fc.property(fc.array(fc.object()), fc.array(fc.nat()), (values, cuts) => {
        const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\r\n`).join(''));
        const texts = scan(bytes, cuts).map((input) =>
          input.kind === 'text' ? input.text : input,
        );
        expect(texts).toEqual(values.map((value) => JSON.stringify(value)));
      }),
    );
  });
});
