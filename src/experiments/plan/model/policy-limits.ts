import type { MigrationMode } from '../../../base/index.ts';
import type { PolicyLimits } from '../../../source/index.ts';
import type { PlanParameters, Slowing } from '../plan-setup.ts';

/** What the engine would tell the policy. */
export function policyLimitsOf(
  mode: MigrationMode,
  slowing: Slowing,
  parameters: PlanParameters,
): PolicyLimits {
  const { timeoutAction } = parameters;
  const isThrottled = slowing === 'auto-converge';
  return {
    downtimeLimitMs: parameters.downtimeLimitMs,
    timeoutMs: parameters.timeoutMs,
    timeoutAction,
    maxBandwidthBytesPerSecond: parameters.maxBandwidthBytesPerSecond,
    maxPostcopyBandwidthBytesPerSecond: parameters.maxPostcopyBandwidthBytesPerSecond,
    availSwitchoverBandwidthBytesPerSecond: parameters.availSwitchoverBandwidthBytesPerSecond,
    hybrid: mode === 'hybrid' ? parameters.hybrid : undefined,
    autoConverge: isThrottled ? parameters.throttle : undefined,
    allows: {
      throttle: isThrottled,
      postcopy: mode === 'hybrid',
      suspend: timeoutAction === 'suspend',
      cancel: timeoutAction === 'cancel',
    },
  };
}
