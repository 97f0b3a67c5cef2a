import fc from 'fast-check';
import type { SimClock } from '../../../../src/base/index.ts';
import { sealBody, sealHeader, viewOf } from './frames.ts';
import type { RawPeer } from './raw-peer.ts';

/** What one hostile peer does otherwise than an honest one, at one place of the conversation. */
export type Deviation =
  | { readonly kind: 'drop' }
  | { readonly kind: 'repeat'; readonly times: number }
  | { readonly kind: 'insert' | 'replace'; readonly choice: number }
  /** Another frame of the honest conversation. */
  | { readonly kind: 'jump'; readonly choice: number }
  | { readonly kind: 'edit'; readonly edits: readonly Edit[]; readonly seal: boolean }
  | { readonly kind: 'header'; readonly field: HeaderField; readonly value: number }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'end' | 'reset' };

type Edit = readonly [at: number, bytes: Uint8Array];
type HeaderField = keyof typeof HEADER_FIELDS;

export interface PlacedDeviation {
  /** Share of the conversation that has passed, from 0 to 1. */
  readonly share: number;
  readonly deviation: Deviation;
}

/** Offset and width of what a hostile header can say. */
const HEADER_FIELDS = {
  magic: [0, 4],
  version: [4, 1],
  type: [5, 1],
  flags: [6, 2],
  bodyBytes: [8, 4],
  checkedBytes: [12, 4],
  sequence: [16, 4],
  block: [20, 2],
  reserved: [22, 2],
  checkedCrc: [24, 4],
} as const;

const edit = fc.tuple(fc.nat({ max: 200_000 }), fc.uint8Array({ minLength: 1, maxLength: 8 }));
const numbers = fc.oneof(
  fc.constantFrom(0, 1, 16, 0xffff, 0x1_0000, 0x10_0000, 0x7fff_ffff, 0xffff_ffff),
  fc.nat(2 ** 31 - 1),
);
const fields = fc.constantFrom(...(Object.keys(HEADER_FIELDS) as HeaderField[]));

const deviation: fc.Arbitrary<Deviation> = fc.oneof(
  fc.record({ kind: fc.constant('drop' as const) }),
  fc.record({ kind: fc.constant('repeat' as const), times: fc.integer({ min: 1, max: 3 }) }),
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('insert' as const), choice: fc.nat(999) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('replace' as const), choice: fc.nat(999) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('jump' as const), choice: fc.nat(999) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('edit' as const),
      edits: fc.array(edit, { minLength: 1, maxLength: 3 }),
      seal: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('header' as const), field: fields, value: numbers }),
  },
  fc.record({ kind: fc.constant('raw' as const), bytes: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({ kind: fc.constant('truncate' as const), bytes: fc.nat(100) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 700, 15_000) }),
  fc.record({ kind: fc.constantFrom('end' as const, 'reset' as const) }),
);

export const deviations: fc.Arbitrary<PlacedDeviation[]> = fc.array(
  fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), deviation }),
  { minLength: 1, maxLength: 3 },
);

/**
 * A copy of `frame` with other bytes in its body; with `seal` its checksums are right all the same.
 */
export function edited(frame: Uint8Array, edits: readonly Edit[], seal: boolean): Uint8Array {
  const copy = new Uint8Array(frame);
  const bodyBytes = copy.length - 32;
  if (bodyBytes === 0) return copy;
  for (const [at, bytes] of edits) {
    const start = at % bodyBytes;
    copy.set(bytes.subarray(0, bodyBytes - start), 32 + start);
  }
  return seal ? sealBody(copy) : copy;
}

/** A copy of `frame` whose header says something else, under a right checksum. */
export function withHeader(frame: Uint8Array, field: HeaderField, value: number): Uint8Array {
  const copy = new Uint8Array(frame);
  const [offset, width] = HEADER_FIELDS[field];
  const view = viewOf(copy);
  if (width === 4) view.setUint32(offset, value >>> 0, true);
  else if (width === 2) view.setUint16(offset, value & 0xffff, true);
  else view.setUint8(offset, value & 0xff);
  return sealHeader(copy);
}

/** Sends `frame` as `deviation` has it. */
export async function deviate(
  peer: RawPeer,
  frame: Uint8Array,
  { deviation, pool, honest, clock }: Situation,
): Promise<void> {
  switch (deviation.kind) {
    case 'drop':
      return;
    case 'repeat':
      for (let time = 0; time <= deviation.times; time += 1) peer.send(frame);
      return;
    case 'insert':
      peer.send(chosen(pool, deviation.choice));
      return peer.send(frame);
    case 'replace':
      return peer.send(chosen(pool, deviation.choice));
    case 'jump':
      return peer.send(chosen(honest, deviation.choice));
    case 'edit':
      return peer.send(edited(frame, deviation.edits, deviation.seal));
    case 'header':
      return peer.send(frame, (numbered) => withHeader(numbered, deviation.field, deviation.value));
    case 'raw':
      peer.sendRaw(deviation.bytes);
      return peer.send(frame);
    case 'truncate':
      return peer.send(frame, (numbered) => numbered.subarray(0, deviation.bytes));
    case 'wait':
      await clock.sleep(deviation.ms);
      return peer.send(frame);
    case 'end':
      return peer.end();
    case 'reset':
      return peer.reset();
  }
}

interface Situation {
  readonly deviation: Deviation;
  readonly pool: readonly Uint8Array[];
  readonly honest: readonly Uint8Array[];
  readonly clock: SimClock;
}

function chosen(frames: readonly Uint8Array[], choice: number): Uint8Array {
  return frames[choice % frames.length] ?? new Uint8Array(0);
}
