import { describe, expect, test } from 'vitest';
import {
  type CodecMeasurements,
  chooseCodec,
  type EncoderMeasurement,
} from '../../../src/source/codec/choose-codec.ts';

/** As measured for text: 10 us a page, and less than half of it left. */
const TEXT: EncoderMeasurement = { msEach: 0.01, bytesBefore: 4112, bytesAfter: 1700 };
const NOISE: EncoderMeasurement = { msEach: 0.001, bytesBefore: 4112, bytesAfter: 4112 };
const DELTA: EncoderMeasurement = { msEach: 0.002, bytesBefore: 600, bytesAfter: 300 };
const GATHER_MS = 0.001;
const [MBIT_10, MBIT_100, GBIT_1, GBIT_10, LOOPBACK] = [1250, 12_500, 125_000, 1.25e6, 2.5e6];

function pages(
  linkBytesPerMs: number | undefined,
  encoder: EncoderMeasurement | undefined,
  changes: Partial<CodecMeasurements> & { isOn?: boolean } = {},
): boolean {
  const { isOn, ...measured } = changes;
  const previous = isOn === undefined ? undefined : { pages: isOn, deltas: isOn, shortest: false };
  const all: CodecMeasurements = {
    linkBytesPerMs,
    gatherMsPerPage: GATHER_MS,
    helpers: 0,
    pages: encoder,
    deltas: undefined,
    ...measured,
  };
  return chooseCodec(all, previous).pages;
}

describe('chooseCodec()', () => {
  test.each([
    ['text over 10 Mbit/s', MBIT_10, TEXT, 0, true],
    ['text over 100 Mbit/s', MBIT_100, TEXT, 0, true],
    ['text over 1 Gbit/s', GBIT_1, TEXT, 0, true],
    ['text over 10 Gbit/s', GBIT_10, TEXT, 0, false],
    ['text over 10 Gbit/s with one helper', GBIT_10, TEXT, 1, false],
    ['text over 10 Gbit/s with four helpers', GBIT_10, TEXT, 4, true],
    ['text over loopback with two helpers', LOOPBACK, TEXT, 2, false],
    // Trying costs nothing where the link takes all the time, and other pages may get shorter.
    ['noise over 10 Mbit/s', MBIT_10, NOISE, 0, true],
    ['noise over 1 Gbit/s', GBIT_1, NOISE, 0, true],
    ['noise over 10 Gbit/s', GBIT_10, NOISE, 0, false],
    ['noise over loopback', LOOPBACK, NOISE, 2, false],
  ])('chooseCodec() for %s', (_, link, encoder, helpers, expected) => {
    expect(pages(link, encoder, { helpers })).toBe(expected);
  });

  test('chooseCodec() does nothing while the link is not what is waited for', () => {
    expect(pages(Number.POSITIVE_INFINITY, TEXT, { helpers: 4, isOn: true })).toBe(false);
    expect(pages(Number.POSITIVE_INFINITY, undefined)).toBe(false);
  });

  test('chooseCodec() tries before anything is known, then goes by what it gained', () => {
    expect(pages(undefined, undefined)).toBe(true);
    expect(pages(undefined, TEXT)).toBe(true);
    expect(pages(undefined, NOISE)).toBe(false);
    expect(pages(LOOPBACK, undefined)).toBe(true);
  });

  test('chooseCodec() does not flutter: what is on stays on a little longer', () => {
    // Saves between 2 and 10 % of the time.
    const middling: EncoderMeasurement = { msEach: 0.03, bytesBefore: 4112, bytesAfter: 3900 };
    expect(pages(GBIT_1, middling, { isOn: false })).toBe(false);
    expect(pages(GBIT_1, middling, { isOn: true })).toBe(true);
  });

  test('chooseCodec() looks at pages and deltas apart', () => {
    const measured = { linkBytesPerMs: MBIT_100, gatherMsPerPage: GATHER_MS, helpers: 0 };
    const slow: EncoderMeasurement = { msEach: 3, bytesBefore: 4112, bytesAfter: 4000 };
    expect(chooseCodec({ ...measured, pages: slow, deltas: DELTA }, undefined)).toMatchObject({
      pages: false,
      deltas: true,
    });
    expect(chooseCodec({ ...measured, pages: TEXT, deltas: slow }, undefined)).toMatchObject({
      pages: true,
      deltas: false,
    });
  });

  test.each([
    ['10 Mbit/s', MBIT_10, TEXT, true],
    ['100 Mbit/s', MBIT_100, TEXT, true],
    // Twice 10 us are more than a tenth of 33 us.
    ['1 Gbit/s', GBIT_1, TEXT, false],
    ['an unknown link', undefined, TEXT, false],
    ['100 Mbit/s before anything was tried', MBIT_100, undefined, false],
  ])('chooseCodec() compares long deltas with pages over %s: %s', (_, link, encoder, expected) => {
    const measured = { linkBytesPerMs: link, gatherMsPerPage: GATHER_MS, helpers: 0 };
    const decision = chooseCodec({ ...measured, pages: encoder, deltas: undefined }, undefined);
    expect(decision.shortest).toBe(expected);
  });

  test('chooseCodec() never chooses what its own figures call slower', () => {
    for (const link of [MBIT_10, MBIT_100, GBIT_1, GBIT_10, LOOPBACK]) {
      for (const msEach of [0.0005, 0.002, 0.01, 0.05, 0.5, 5]) {
        for (const bytesAfter of [200, 2000, 4000, 4112]) {
          for (const isOn of [true, false]) {
            if (!pages(link, { msEach, bytesBefore: 4112, bytesAfter }, { isOn })) continue;
            const plainMs = Math.max(GATHER_MS, 4112 / link);
            expect(Math.max(GATHER_MS + msEach, bytesAfter / link)).toBeLessThanOrEqual(plainMs);
          }
        }
      }
    }
  });
});
