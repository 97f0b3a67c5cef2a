/**
 * Microseconds since 1970. Only events carry the time of day; everything that is measured uses
 * `Clock`.
 */
export type WallClock = () => number;

export const systemWallClock: WallClock = () => Date.now() * 1000;
