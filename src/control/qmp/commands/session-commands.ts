import { command, type QmpCommands } from '../qmp-command.ts';
import { PACKAGE, QMP_VERSION } from '../qmp-version.ts';

/** About the conversation itself. `names` are those of the whole table. */
export function sessionCommands(names: () => readonly string[]): QmpCommands {
  return {
    'query-version': command({}, () => ({ qemu: QMP_VERSION, package: PACKAGE })),
    'query-commands': command({}, () => names().map((name) => ({ name }))),
  };
}
