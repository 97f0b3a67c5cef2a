import { SternaError } from '../../../base/index.ts';
import { migrationUri } from '../migration-address.ts';
import { command, type QmpCommands } from '../qmp-command.ts';
import { migrationReply } from '../query-migrate.ts';

/** Starting, cancelling and watching migrations. */
export const migrationCommands: QmpCommands = {
  migrate: command(
    {
      uri: { type: 'string', optional: true },
      channels: { type: 'array', optional: true },
      // Accepted and without effect, as in QEMU: the command always returns at once.
      detach: { type: 'boolean', optional: true },
      resume: { type: 'boolean', optional: true },
    },
    (agent, { uri, channels, resume }) => {
      if (resume) {
        throw new SternaError('E_STATE', 'Cannot resume if there is no paused migration');
      }
      agent.migrations.start(migrationUri('migrate', uri, channels));
    },
  ),
  'migrate-incoming': command(
    {
      uri: { type: 'string', optional: true },
      channels: { type: 'array', optional: true },
      'exit-on-error': { type: 'boolean', optional: true },
    },
    async (agent, { uri, channels }) => {
      await agent.migrations.listen(migrationUri('migrate-incoming', uri, channels));
    },
  ),
  migrate_cancel: command({}, (agent) => agent.migrations.cancel()),
  'query-migrate': command({}, (agent) =>
    migrationReply(agent.migrations.latest, agent.migrations.listenAddress),
  ),
};
