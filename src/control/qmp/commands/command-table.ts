import type { QmpCommands } from '../qmp-command.ts';
import { dirtyLimitCommands } from './dirty-limit-commands.ts';
import { machineCommands } from './machine-commands.ts';
import { migrationCommands } from './migration-commands.ts';
import { observationCommands } from './observation-commands.ts';
import { sessionCommands } from './session-commands.ts';
import { settingCommands } from './setting-commands.ts';

/** Every command but `qmp_capabilities`, which is part of the conversation, by its name. */
export function commandTable(): QmpCommands {
  const table: QmpCommands = {
    ...sessionCommands(() => ['qmp_capabilities', ...Object.keys(table)].sort()),
    ...machineCommands,
    ...migrationCommands,
    ...settingCommands,
    ...dirtyLimitCommands,
    ...observationCommands,
  };
  return table;
}
