import { command, type QmpCommands } from '../qmp-command.ts';

/** Dirty limits of vCPUs outside of a migration; in one it is the capability `dirty-limit`. */
export const dirtyLimitCommands: QmpCommands = {
  'set-vcpu-dirty-limit': command(
    { 'cpu-index': { type: 'integer', optional: true }, 'dirty-rate': { type: 'integer' } },
    async (agent, values) => {
      await agent.dirtyLimits.set(values['cpu-index'], values['dirty-rate']);
    },
  ),
  'cancel-vcpu-dirty-limit': command(
    { 'cpu-index': { type: 'integer', optional: true } },
    async (agent, values) => {
      await agent.dirtyLimits.cancel(values['cpu-index']);
    },
  ),
  'query-vcpu-dirty-limit': command({}, async (agent) =>
    (await agent.dirtyLimits.query()).map((limit) => ({
      'cpu-index': limit.vcpu,
      'limit-rate': limit.limitMegabytesPerSecond,
      'current-rate': limit.currentMegabytesPerSecond,
    })),
  ),
};
