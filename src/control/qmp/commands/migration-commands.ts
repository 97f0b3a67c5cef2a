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
    async (agent, { uri, channels, resume }) => {
      if (!resume) return agent.migrations.start(migrationUri('migrate', uri, channels));
      // QEMU asks for an address; here it is the one of before when none is given.
      const hasWay = uri !== undefined || channels !== undefined;
      await agent.migrations.resume(hasWay ? migrationUri('migrate', uri, channels) : undefined);
      return undefined;
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
  'migrate-start-postcopy': command({}, (agent) => agent.migrations.startPostcopy()),
  'migrate-pause': command({}, (agent) => agent.migrations.pauseLink()),
  'migrate-recover': command({ uri: { type: 'string' } }, async (agent, { uri }) => {
    await agent.migrations.recover(migrationUri('migrate-recover', uri, undefined));
  }),
  'query-migrate': command({}, (agent) =>
    migrationReply(agent.migrations.latest, agent.migrations.listenAddress),
  ),
};
