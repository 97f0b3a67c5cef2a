import { SternaError } from '../errors.ts';
import { MIGRATION_PARAMETERS, type MigrationParameters } from './migration-parameters.ts';

/** What a row of the table of parameters says. */
export type ParameterValue = number | string | boolean;

interface NumberParameter {
  readonly type: 'number';
  readonly key: keyof MigrationParameters;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit: 'B/s' | 'B' | 'ms' | 'passes' | '%' | 'MB/s' | 'connections';
  readonly powerOfTwo?: true;
  /** May change while a migration runs. */
  readonly live: boolean;
}

interface ChoiceParameter {
  readonly type: 'choice';
  readonly key: keyof MigrationParameters;
  readonly default: string;
  readonly choices: readonly string[];
  readonly live: boolean;
}

interface DirectoryParameter {
  readonly type: 'directory';
  readonly key: keyof MigrationParameters;
  /** Empty: none. */
  readonly default: string;
  readonly live: boolean;
}

interface SwitchParameter {
  readonly type: 'boolean';
  readonly key: keyof MigrationParameters;
  readonly default: boolean;
  readonly live: boolean;
}

/** One of the names, or the absolute path of a module. */
interface ModuleParameter {
  readonly type: 'module';
  readonly key: keyof MigrationParameters;
  readonly default: string;
  readonly names: readonly string[];
  readonly live: boolean;
}

export type ParameterDefinition =
  | NumberParameter
  | ChoiceParameter
  | DirectoryParameter
  | SwitchParameter
  | ModuleParameter;

/** Checks one value by its public name. Throws E_CONFIG_INVALID that names the range. */
export function checkParameter(
  name: string,
  value: unknown,
): { key: keyof MigrationParameters; value: ParameterValue } {
  const definition = MIGRATION_PARAMETERS[name];
  if (definition === undefined) {
    throw new SternaError('E_CONFIG_INVALID', `Parameter '${name}' is unexpected`, {
      detail: { known: Object.keys(MIGRATION_PARAMETERS) },
    });
  }
  if (definition.type === 'choice') {
    if (typeof value !== 'string' || !definition.choices.includes(value)) {
      throw new SternaError(
        'E_CONFIG_INVALID',
        `Parameter '${name}' expects one of ${definition.choices.join(', ')}`,
        { detail: { value } },
      );
    }
    return { key: definition.key, value };
  }
  if (definition.type === 'directory') {
    const expected = 'the absolute path of a directory, or nothing';
    return { key: definition.key, value: path(name, value, ['', expected]) };
  }
  if (definition.type === 'module') {
    const { key, names } = definition;
    const expected = `one of ${names.join(', ')}, or the absolute path of a module`;
    return { key, value: path(name, value, [...names, expected]) };
  }
  if (definition.type === 'boolean') {
    if (typeof value === 'boolean') return { key: definition.key, value };
    throw new SternaError('E_CONFIG_INVALID', `Parameter '${name}' expects true or false`, {
      detail: { value },
    });
  }
  const expected = `${definition.powerOfTwo ? 'a power of two ' : 'an integer '}from ${definition.min} to ${definition.max} ${definition.unit}`;
  const wellFormed =
    typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    value >= definition.min &&
    value <= definition.max;
  if (!wellFormed || (definition.powerOfTwo && 2 ** Math.floor(Math.log2(value)) !== value)) {
    throw new SternaError('E_CONFIG_INVALID', `Parameter '${name}' expects ${expected}`, {
      detail: { value },
    });
  }
  return { key: definition.key, value };
}

const PATH_LENGTH_MAX = 4096;

/**
 * Absolute: an agent has a working directory of its own. `allowed`: what it may be instead, and
 * last what is expected, in words.
 */
function path(name: string, value: unknown, allowed: readonly string[]): string {
  const isPath = typeof value === 'string' && value.length <= PATH_LENGTH_MAX;
  const names = allowed.slice(0, -1);
  if (isPath && !value.includes('\0') && (names.includes(value) || value.startsWith('/'))) {
    return value;
  }
  throw new SternaError('E_CONFIG_INVALID', `Parameter '${name}' expects ${allowed.at(-1)}`, {
    detail: { value },
  });
}
