import {
  type CapabilityName,
  checkParameter,
  MIGRATION_CAPABILITIES,
  MIGRATION_PARAMETERS,
  type MigrationParameters,
  type ParameterValue,
  SternaError,
} from '../../../base/index.ts';
import {
  type ArgumentDefinition,
  checkArguments,
  command,
  isObject,
  type QmpCommands,
} from '../qmp-command.ts';

/** Parameters and capabilities, from the tables in base. */
export const settingCommands: QmpCommands = {
  'migrate-set-parameters': {
    arguments: parameterSchema(),
    run: (agent, values) => {
      // All are checked before the first one takes effect.
      const changes: Record<string, ParameterValue> = {};
      for (const [name, value] of Object.entries(values)) {
        const checked = checkParameter(name, value);
        if (agent.migrations.isRunning && MIGRATION_PARAMETERS[name]?.live !== true) {
          const text = `Parameter '${name}' cannot be changed while a migration runs`;
          throw new SternaError('E_STATE', text);
        }
        changes[checked.key] = checked.value;
      }
      // checkParameter() pairs each key with a value of its type.
      agent.migrations.setParameters(changes as Partial<MigrationParameters>);
    },
  },
  'query-migrate-parameters': command({}, (agent) => {
    const { parameters } = agent.migrations;
    return Object.fromEntries(
      Object.entries(MIGRATION_PARAMETERS).map(([name, { key }]) => [name, parameters[key]]),
    );
  }),
  'migrate-set-capabilities': command({ capabilities: { type: 'array' } }, (agent, values) => {
    const changes = values.capabilities.map(readCapability);
    if (agent.migrations.isRunning) {
      throw new SternaError('E_STATE', "There's a migration process in progress");
    }
    agent.migrations.setCapabilities(Object.fromEntries(changes));
  }),
  'query-migrate-capabilities': command({}, (agent) =>
    Object.entries(agent.migrations.capabilities).map(([capability, state]) => ({
      capability,
      state,
    })),
  ),
};

function parameterSchema(): Readonly<Record<string, ArgumentDefinition>> {
  const entries = Object.entries(MIGRATION_PARAMETERS).map(([name, { type }]) => {
    const definition: ArgumentDefinition = {
      type: type === 'number' ? 'integer' : type === 'boolean' ? 'boolean' : 'string',
      optional: true,
    };
    return [name, definition] as const;
  });
  return Object.fromEntries(entries);
}

function readCapability(entry: unknown, index: number): readonly [CapabilityName, boolean] {
  const path = `capabilities[${index}]`;
  if (!isObject(entry)) throw invalid(`Invalid parameter type for '${path}', expected: object`);
  const schema = { capability: { type: 'string' }, state: { type: 'boolean' } } as const;
  checkArguments(schema, entry, `${path}.`);
  const { capability, state } = entry as { capability: string; state: boolean };
  if (!Object.hasOwn(MIGRATION_CAPABILITIES, capability)) {
    throw invalid(`Parameter '${path}.capability' does not accept value '${capability}'`);
  }
  const definition = MIGRATION_CAPABILITIES[capability];
  if (definition?.fixed === true && state !== definition.default) {
    throw invalid(`Capability '${capability}' is always ${definition.default ? 'on' : 'off'}`);
  }
  // It is a key of MIGRATION_CAPABILITIES.
  return [capability as CapabilityName, state];
}

function invalid(message: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message);
}
