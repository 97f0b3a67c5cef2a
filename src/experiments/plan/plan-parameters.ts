import type { MigrationParameters } from '../../base/index.ts';
import type { PlanParameters } from './plan-setup.ts';

/** What of the parameters of a migration a plan goes by. A timeout is one migration's own. */
export function planParametersOf(parameters: MigrationParameters): PlanParameters {
  const { cpuThrottleInitialPercent: initialPercent, maxCpuThrottlePercent } = parameters;
  return {
    downtimeLimitMs: parameters.downtimeLimitMs,
    maxBandwidthBytesPerSecond: parameters.maxBandwidthBytesPerSecond,
    maxPostcopyBandwidthBytesPerSecond: parameters.maxPostcopyBandwidthBytesPerSecond,
    availSwitchoverBandwidthBytesPerSecond: parameters.availSwitchoverBandwidthBytesPerSecond,
    xbzrleCacheBytes: parameters.xbzrleCacheBytes,
    reorder: parameters.reorder === 'on',
    timeoutMs: 0,
    timeoutAction: 'suspend',
    hybrid: {
      afterPasses: parameters.postcopyAfterPasses,
      plateau: parameters.postcopyPlateau === 'on',
    },
    throttle: {
      initialPercent,
      incrementPercent: parameters.cpuThrottleIncrementPercent,
      maxPercent: Math.max(initialPercent, maxCpuThrottlePercent),
      triggerPercent: parameters.throttleTriggerPercent,
      tailslow: parameters.cpuThrottleTailslow,
    },
    vcpuDirtyLimitMegabytesPerSecond: parameters.vcpuDirtyLimitMegabytesPerSecond,
    vcpuDirtyLimitPeriodMs: parameters.vcpuDirtyLimitPeriodMs,
  };
}
