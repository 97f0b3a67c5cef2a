import { dirtyRateRequest } from '../../observation/dirty-rate-status.ts';
import { traceRequest } from '../../observation/recording-status.ts';
import { migrationUri } from '../migration-address.ts';
import { command, type QmpCommands } from '../qmp-command.ts';

/** Looking at what the guest dirties, and at the link, while nobody migrates it. */
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
  'x-record-trace-start': command(
    {
      filename: { type: 'string' },
      interval: { type: 'integer', optional: true },
      span: { type: 'integer', optional: true },
    },
    (agent, values) => agent.observations.recordTrace(traceRequest(values)),
  ),
  'x-record-trace-stop': command({}, (agent) => agent.observations.stopRecording()),
  'x-probe-link': command(
    { uri: { type: 'string' }, seconds: { type: 'integer', optional: true } },
    (agent, { uri, seconds }) => {
      const target = migrationUri('x-probe-link', uri, undefined);
      return agent.observations.probeLink({ uri: target, seconds });
    },
  ),
  'x-query-record-trace': command({}, (agent) => agent.observations.recording.reply()),
};
