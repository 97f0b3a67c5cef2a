import { PAGE_BYTES } from '../../base/index.ts';
import type { Policy } from './policy.ts';
import { byUserRules } from './user-rules.ts';

/**
 * Svärd et al. (VEE 2011, CloudCom 2011): delta compression, and the stop rule of the KVM of that
 * time with the compressed size in it. What remains, at the ratio to which the last pass was
 * compressed, must fit through the link within the limit. What is in flight, the encoder's time and
 * the cost of the switch itself do not count.
 */
export const svardPolicy: Policy = {
  name: 'svard',
  needs: ['xbzrle'],

  decide(round) {
    const { remainingPages, wireBytesPerPage, linkBytesPerMs, limits } = round;
    const ratio = wireBytesPerPage / PAGE_BYTES;
    const compressedBytes = remainingPages * PAGE_BYTES * ratio;
    const because = `compressed to ${(100 * ratio).toFixed(1)} %`;
    if (compressedBytes <= limits.downtimeLimitMs * (linkBytesPerMs ?? 0)) {
      return { action: 'stop-and-copy', reason: 'converged', because };
    }
    return byUserRules(round) ?? { action: 'iterate', because };
  },
};
