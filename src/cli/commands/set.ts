import { InvalidArgumentError } from 'commander';
import {
  checkParameter,
  MIGRATION_CAPABILITIES,
  MIGRATION_PARAMETERS,
  type ParameterDefinition,
  type ParameterValue,
  SternaError,
} from '../../base/index.ts';
import { parsePolicy, parseSize } from '../arguments.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import type { AddCommand } from './command.ts';

/** The arguments of the two QMP commands that a list of assignments becomes. */
export interface Settings {
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  readonly capabilities: readonly { readonly capability: string; readonly state: boolean }[];
}

export const addSet: AddCommand = (program, _context, run) => {
  const command = program
    .command('set')
    .summary('change parameters and capabilities of an agent, also while it migrates')
    .argument('<assignments...>', 'key=value, for example max-bandwidth=125M xbzrle=on');
  withQmpOption(command)
    .addHelpText('after', () => `\n${keysHelp()}`)
    .action((assignments: string[], options: QmpOption) =>
      run(() => set(options, parseSettings(assignments))),
    );
};

async function set(options: QmpOption, settings: Settings): Promise<ExitCode> {
  await withAgent(options.qmp, async (qmp) => {
    if (settings.capabilities.length > 0) {
      await qmp.execute('migrate-set-capabilities', { capabilities: settings.capabilities });
    }
    if (Object.keys(settings.parameters).length > 0) {
      await qmp.execute('migrate-set-parameters', settings.parameters);
    }
  });
  return EXIT_CODES.OK;
}

/** Checks everything before anything is sent. Throws E_CONFIG_INVALID. */
export function parseSettings(assignments: readonly string[]): Settings {
  const parameters: Record<string, ParameterValue> = {};
  const capabilities: { capability: string; state: boolean }[] = [];
  for (const assignment of assignments) {
    const [, key, text] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
    if (key === undefined || text === undefined) {
      throw invalid(`Not an assignment: ${JSON.stringify(assignment)}`, 'key=value');
    }
    if (Object.hasOwn(MIGRATION_CAPABILITIES, key)) {
      capabilities.push({ capability: key, state: parseSwitch(key, text) });
    } else {
      parameters[key] = checkParameter(key, parseValue(key, text)).value;
    }
  }
  return { parameters, capabilities };
}

function parseSwitch(key: string, text: string): boolean {
  if (text === 'on' || text === 'true') return true;
  if (text === 'off' || text === 'false') return false;
  throw invalid(`'${key}' cannot be ${JSON.stringify(text)}`, 'on or off');
}

/** Byte values take units; what is not known here goes to `checkParameter`, which names what is. */
function parseValue(key: string, text: string): ParameterValue {
  const definition = Object.hasOwn(MIGRATION_PARAMETERS, key)
    ? MIGRATION_PARAMETERS[key]
    : undefined;
  if (definition?.type === 'boolean') return parseSwitch(key, text);
  // Nothing is no path: checkParameter says so.
  if (definition?.type === 'module') return text === '' ? text : parsePolicy(text);
  if (definition?.type !== 'number') return text;
  if (['ms', '%', 'MB/s'].includes(definition.unit))
    return /^\d+$/.test(text) ? Number(text) : text;
  try {
    return parseSize(text);
  } catch (error) {
    if (error instanceof InvalidArgumentError) {
      throw invalid(`Parameter '${key}' cannot be ${JSON.stringify(text)}`, 'a size such as 125M');
    }
    throw error;
  }
}

function invalid(message: string, expected: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, { detail: { expected } });
}

function keyHelp(name: string, definition: ParameterDefinition): string {
  if (definition.type === 'choice') return `  ${name}=${definition.choices.join('|')}`;
  if (definition.type === 'boolean') return `  ${name}=on|off`;
  if (definition.type === 'module') return `  ${name}=${definition.names.join('|')}|FILE`;
  if (definition.type === 'directory') return `  ${name}=DIRECTORY  (empty: none)`;
  return `  ${name}=N  (${definition.unit}, default ${definition.default})`;
}

function keysHelp(): string {
  const parameters = Object.entries(MIGRATION_PARAMETERS).map(([name, definition]) =>
    keyHelp(name, definition),
  );
  const capabilities = Object.keys(MIGRATION_CAPABILITIES).map((name) => `  ${name}=on|off`);
  return ['Keys:', ...parameters, ...capabilities].join('\n');
}
