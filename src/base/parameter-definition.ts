import type { MigrationParameters } from './migration-parameters.ts';

/** What a row of the table of parameters says. */
export type ParameterValue = number | string | boolean;

interface NumberParameter {
  readonly type: 'number';
  readonly key: keyof MigrationParameters;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit: 'B/s' | 'B' | 'ms' | 'passes' | '%' | 'MB/s';
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
