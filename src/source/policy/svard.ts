import { PAGE_BYTES } from '../../base/index.ts';
import { switchDowntimeMs } from './expected-downtime.ts';
import type { Policy } from './policy.ts';
import { byUserRules } from './user-rules.ts';

/**
 * Svärd et al. (VEE 2011, CloudCom 2011): delta compression, and the stop rule of the KVM of that
 * time with the compressed size in it. What remains, at the ratio to which the last pass was
 * compressed, must fit through the link within the limit. What it queues behind and the cost of the
 * switch itself count too: theirs were far below the downtimes that they measured, and without them
 * the limit would not hold.
 */
export const svardPolicy: Policy = {
  name: 'svard',
  needs: ['xbzrle'],

  decide(round) {
    const { remainingPages, wireBytesPerPage, limits } = round;
    const ratio = wireBytesPerPage / PAGE_BYTES;
    const because = `compressed to ${(100 * ratio).toFixed(1)} %`;
    const expectedMs = switchDowntimeMs(round);
    const isWithin = expectedMs !== undefined && expectedMs <= limits.downtimeLimitMs;
    if (remainingPages === 0 || isWithin) {
      return { action: 'stop-and-copy', reason: 'converged', because };
    }
    return byUserRules(round) ?? { action: 'iterate', because };
  },
};
