import { SternaError } from '../../../base/index.ts';
import { isBoard } from '../../machine/local-machine.ts';
import { machineReport, vcpuSummaries } from '../../machine/machine-report.ts';
import { saveMemory } from '../../memory-dump.ts';
import { command, type QmpCommands } from '../qmp-command.ts';

/** QEMU's answer where there is no guest yet. */
const NO_UUID = '00000000-0000-0000-0000-000000000000';

/** About the guest that this agent has. */
export const machineCommands: QmpCommands = {
  'query-status': command({}, ({ guests }) => ({
    running: guests.isRunning,
    status: guests.runState,
  })),
  stop: command({}, (agent) => agent.stopGuest()),
  cont: command({ 'x-take-ownership': { type: 'boolean', optional: true } }, (agent, values) =>
    agent.continueGuest(values['x-take-ownership'] === true),
  ),
  quit: command({}, (agent) => agent.quit()),
  'query-name': command({}, (agent) => ({ name: agent.name })),
  'query-uuid': command({}, ({ guests }) => ({ UUID: guests.uuid ?? NO_UUID })),
  'query-cpus-fast': command({}, ({ guests: { current } }) =>
    (current === undefined ? [] : vcpuSummaries(current)).map(({ index, threadId, target }) => ({
      'cpu-index': index,
      'qom-path': `/machine/unattached/device[${index}]`,
      'thread-id': threadId,
      target,
    })),
  ),
  pmemsave: command(
    { val: { type: 'integer' }, size: { type: 'integer' }, filename: { type: 'string' } },
    async ({ guests }, { val, size, filename }) => {
      await saveMemory(guests.need().memory, val, size, filename);
    },
  ),
  'x-dump-half': command({ filename: { type: 'string' } }, async (agent, { filename }) => {
    const { migrationId, epoch, pages, missingPages, bytes } = await agent.dumpHalf(filename);
    return { 'migration-id': migrationId, epoch, pages, 'missing-pages': missingPages, bytes };
  }),
  'x-check-guest': command({}, ({ guests }) => {
    if (guests.isRunning) {
      throw new SternaError(
        'E_STATE',
        'The guest is checked while it stands still; use stop first',
      );
    }
    const machine = guests.need();
    if (isBoard(machine)) {
      throw new SternaError('E_STATE', 'Only a workload knows what its memory must be');
    }
    return machine.check();
  }),
  'x-guest-info': command({}, ({ guests }) => machineReport(guests.need())),
};
