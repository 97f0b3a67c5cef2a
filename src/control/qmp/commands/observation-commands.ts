import { dirtyRateRequest } from '../../observation/dirty-rate-status.ts';
import { command, type QmpCommands } from '../qmp-command.ts';

/** Looking at what the guest dirties, while it runs and nobody migrates it. */
export const observationCommands: QmpCommands = {
  'calc-dirty-rate': command(
    {
      'calc-time': { type: 'integer' },
      'calc-time-unit': { type: 'string', optional: true },
      'sample-pages': { type: 'integer', optional: true },
      mode: { type: 'string', optional: true },
    },
    (agent, values) => agent.observations.measureDirtyRate(dirtyRateRequest(values)),
  ),
  'query-dirty-rate': command(
    { 'calc-time-unit': { type: 'string', optional: true } },
    (agent, values) => agent.observations.dirtyRate.reply(values['calc-time-unit']),
  ),
};
