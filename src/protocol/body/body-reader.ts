import { SternaError } from '../../base/index.ts';
import type { MessageName } from '../message-types.ts';
import { unpackBody } from './message-pack.ts';

export type BodyResult<Body> =
  | { readonly kind: 'ok'; readonly body: Body }
  | { readonly kind: 'malformed'; readonly error: SternaError };

export type Scalar = string | number | boolean;

/**
 * Decodes a control body field by field. Unknown fields are ignored; a missing or wrong one is
 * malformed.
 */
export function readBody<Body>(
  name: MessageName,
  bytes: Uint8Array,
  read: (fields: FieldReader) => Body,
): BodyResult<Body> {
  const unpacked = unpackBody(bytes);
  if (unpacked.kind === 'malformed') return malformedBody(name, unpacked.problem);
  try {
    return { kind: 'ok', body: read(new FieldReader(unpacked.value, '')) };
  } catch (thrown) {
    // Anything else is a defect of ours, and must not be blamed on the peer.
    if (!(thrown instanceof FieldProblem)) throw thrown;
    return malformedBody(name, thrown.message);
  }
}

/** The result for a body that is not what its message says. */
export function malformedBody(
  name: MessageName,
  problem: string,
  detail: Readonly<Record<string, unknown>> = {},
): { readonly kind: 'malformed'; readonly error: SternaError } {
  return {
    kind: 'malformed',
    error: new SternaError('E_PROTOCOL_BAD_BODY', `Malformed ${name}: ${problem}`, {
      detail: { message: name, problem, ...detail },
    }),
  };
}

/** Carries a problem out of nested readers to `readBody`, which alone throws and catches it. */
class FieldProblem extends Error {}

// C0, DEL and C1: what a peer says ends up on terminals and in logs.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/;

/** Reads the fields of one map. Every method throws a FieldProblem that names the field. */
export class FieldReader {
  private readonly fields: object;
  private readonly path: string;

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || isBytes(value)) {
      throw new FieldProblem(`${path === '' ? 'the body' : path} is not a map`);
    }
    this.fields = value;
    this.path = path === '' ? '' : `${path}.`;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.fields, name);
  }

  /** For a rule that joins several fields. */
  fail(name: string, problem: string): never {
    throw new FieldProblem(`${this.path}${name} ${problem}`);
  }

  integer(name: string, min: number, max: number): number {
    const value = this.value(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      this.fail(name, `is not a whole number from ${min} to ${max}`);
    }
    return value;
  }

  /** A finite number, not negative. */
  amount(name: string): number {
    const value = this.value(name);
    if (!isAmount(value)) this.fail(name, 'is not a finite number of zero or more');
    return value;
  }

  amountOrNull(name: string): number | null {
    return this.value(name) === null ? null : this.amount(name);
  }

  /** A finite number or NaN, which says "never happened". */
  moment(name: string): number {
    const value = this.value(name);
    if (!isMoment(value)) this.fail(name, 'is not a finite number or NaN');
    return value;
  }

  moments(name: string, maxItems: number): number[] {
    return this.items(name, maxItems).map((value) => {
      if (!isMoment(value)) this.fail(name, 'has an item that is not a finite number or NaN');
      return value;
    });
  }

  boolean(name: string): boolean {
    const value = this.value(name);
    if (typeof value !== 'boolean') this.fail(name, 'is not true or false');
    return value;
  }

  text(name: string, maxBytes: number, pattern?: RegExp): string {
    const value = this.value(name);
    if (!isText(value, maxBytes)) this.fail(name, `is not text of at most ${maxBytes} bytes`);
    if (pattern !== undefined && !pattern.test(value)) this.fail(name, `does not match ${pattern}`);
    return value;
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = this.value(name);
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.fail(name, `is none of ${choices.join(', ')}`);
    return choice;
  }

  texts(name: string, maxItems: number, maxBytes: number): string[] {
    return this.items(name, maxItems).map((value) => {
      if (!isText(value, maxBytes))
        this.fail(name, `has an item that is not text of ${maxBytes} bytes`);
      return value;
    });
  }

  bytes(name: string, maxBytes: number): Uint8Array {
    const value = this.value(name);
    if (!isBytes(value) || value.length > maxBytes) {
      this.fail(name, `is not binary of at most ${maxBytes} bytes`);
    }
    // The unpacker makes Buffers; a body promises no more than a Uint8Array.
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }

  map(name: string): FieldReader {
    return new FieldReader(this.value(name), `${this.path}${name}`);
  }

  maps<Item>(name: string, maxItems: number, read: (item: FieldReader) => Item): Item[] {
    return this.items(name, maxItems).map((value, index) =>
      read(new FieldReader(value, `${this.path}${name}[${index}]`)),
    );
  }

  /**
   * Names of the peer's choice with plain values; keys and values together hold at most
   * `maxBytes`.
   */
  scalars(name: string, maxBytes: number): Record<string, Scalar> {
    return this.record(name, maxBytes, (value): value is Scalar => {
      if (typeof value === 'number') return Number.isFinite(value);
      return typeof value === 'boolean' || isText(value, maxBytes);
    });
  }

  /** Names of the peer's choice with amounts. */
  amounts(name: string, maxBytes: number): Record<string, number> {
    return this.record(name, maxBytes, isAmount);
  }

  private record<Value extends Scalar>(
    name: string,
    maxBytes: number,
    accepts: (value: unknown) => value is Value,
  ): Record<string, Value> {
    const fields = this.map(name).fields;
    // No prototype: a look-up of `toString` finds nothing that the peer did not send.
    const record: Record<string, Value> = Object.create(null);
    let bytes = 0;
    for (const [key, value] of Object.entries(fields)) {
      if (!isText(key, maxBytes)) this.fail(name, 'has an unprintable key');
      if (!accepts(value))
        this.fail(name, `has a value of the wrong type at ${JSON.stringify(key)}`);
      bytes += Buffer.byteLength(key) + (typeof value === 'string' ? Buffer.byteLength(value) : 8);
      record[key] = value;
    }
    if (bytes > maxBytes) this.fail(name, `is longer than ${maxBytes} bytes`);
    return record;
  }

  private items(name: string, maxItems: number): unknown[] {
    const value = this.value(name);
    if (!Array.isArray(value) || value.length > maxItems) {
      this.fail(name, `is not a list of at most ${maxItems} items`);
    }
    return value;
  }

  private value(name: string): unknown {
    if (!this.has(name)) this.fail(name, 'is missing');
    // An own property was just found by that name.
    return (this.fields as Record<string, unknown>)[name];
  }
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function isText(value: unknown, maxBytes: number): value is string {
  return (
    typeof value === 'string' &&
    Buffer.byteLength(value) <= maxBytes &&
    !CONTROL_CHARACTERS.test(value)
  );
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isMoment(value: unknown): value is number {
  return typeof value === 'number' && (Number.isFinite(value) || Number.isNaN(value));
}
