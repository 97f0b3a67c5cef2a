import { SternaError } from '../../base/index.ts';
import type { AgentControl } from '../agent-control.ts';

export type ArgumentType = 'string' | 'integer' | 'boolean' | 'object' | 'array';

export interface ArgumentDefinition {
  readonly type: ArgumentType;
  readonly optional?: true;
}

export type ArgumentSchema = Readonly<Record<string, ArgumentDefinition>>;

interface TypeByName {
  string: string;
  integer: number;
  boolean: boolean;
  object: Readonly<Record<string, unknown>>;
  array: readonly unknown[];
}

/** The values that a schema lets through. */
export type ArgumentValues<Schema extends ArgumentSchema> = {
  readonly [Name in keyof Schema]: Schema[Name] extends { optional: true }
    ? TypeByName[Schema[Name]['type']] | undefined
    : TypeByName[Schema[Name]['type']];
};

/** One row of the table of commands. */
export interface QmpCommand {
  readonly arguments: ArgumentSchema;
  /**
   * Returns what goes into `return`; undefined means `{}`. Throws or rejects with a SternaError.
   */
  readonly run: (agent: AgentControl, values: Readonly<Record<string, unknown>>) => unknown;
}

export type QmpCommands = Readonly<Record<string, QmpCommand>>;

/** A command whose `run` gets the values typed by its schema. */
export function command<const Schema extends ArgumentSchema>(
  schema: Schema,
  run: (agent: AgentControl, values: ArgumentValues<Schema>) => unknown,
): QmpCommand {
  return {
    arguments: schema,
    // checkArguments() has held the values against this very schema.
    run: (agent, values) => run(agent, values as ArgumentValues<Schema>),
  };
}

/**
 * Holds `values` against the schema, with QEMU's words. Throws E_CONFIG_INVALID. `path` is put
 * before the names.
 */
export function checkArguments(
  schema: ArgumentSchema,
  values: Readonly<Record<string, unknown>>,
  path = '',
): void {
  for (const [name, definition] of Object.entries(schema)) {
    // A value that is null is there, and of the wrong type.
    if (!Object.hasOwn(values, name)) {
      if (definition.optional) continue;
      throw invalid(`Parameter '${path}${name}' is missing`);
    }
    if (!hasType(values[name], definition.type)) {
      throw invalid(`Invalid parameter type for '${path}${name}', expected: ${definition.type}`);
    }
  }
  const unexpected = Object.keys(values).find((name) => !Object.hasOwn(schema, name));
  if (unexpected !== undefined) throw invalid(`Parameter '${path}${unexpected}' is unexpected`);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasType(value: unknown, type: ArgumentType): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  return typeof value === type;
}

function invalid(message: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message);
}
