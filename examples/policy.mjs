// A policy of one's own: `sterna migrate --policy examples/policy.mjs URI`.
//
// It gives the guest a quiet first pass, then goes on as long as each pass leaves clearly less than
// the one before, and pauses the guest when that ends. It never pauses it for longer than twice the
// user's downtime limit, unless the user's timeout says so. docs/policies.md tells what it may use.

const SHRINK = 0.8;

/** Half of the user's limit in the first pass. */
export function begin({ limits }) {
  return { bytesPerSecond: limits.maxBandwidthBytesPerSecond / 2 };
}

export function decide(round) {
  const { remainingPages, lastRemainingPages, limits, inFlightBytes } = round;
  if (remainingPages === 0) return { action: 'stop-and-copy', reason: 'converged' };
  const bytes = inFlightBytes + remainingPages * round.wireBytesPerPage;
  const pauseMs = bytes / (round.linkBytesPerMs ?? 0) + round.overheadMs;
  const because = `a pause would take ${Math.round(pauseMs)} ms`;
  const stillShrinks =
    lastRemainingPages === undefined || remainingPages < lastRemainingPages * SHRINK;
  if (stillShrinks && pauseMs > limits.downtimeLimitMs / 10) return { action: 'iterate', because };
  if (pauseMs <= limits.downtimeLimitMs * 2) {
    return { action: 'stop-and-copy', reason: 'no-longer-shrinks', because };
  }
  return { action: 'iterate', because };
}
