import type { MigrationMode } from '../../base/index.ts';
import type { PolicyLimits } from '../../source/index.ts';
import type { PlanParameters } from './plan-setup.ts';

/** What the engine would tell the policy. */
export function policyLimitsOf(mode: MigrationMode, parameters: PlanParameters): PolicyLimits {
  const { timeoutAction } = parameters;
  return {
    downtimeLimitMs: parameters.downtimeLimitMs,
    timeoutMs: parameters.timeoutMs,
    timeoutAction,
    maxBandwidthBytesPerSecond: parameters.maxBandwidthBytesPerSecond,
    maxPostcopyBandwidthBytesPerSecond: parameters.maxPostcopyBandwidthBytesPerSecond,
    availSwitchoverBandwidthBytesPerSecond: parameters.availSwitchoverBandwidthBytesPerSecond,
    hybrid: mode === 'hybrid' ? parameters.hybrid : undefined,
    autoConverge: undefined,
    allows: {
      throttle: false,
      postcopy: mode === 'hybrid',
      suspend: timeoutAction === 'suspend',
      cancel: timeoutAction === 'cancel',
    },
  };
}
