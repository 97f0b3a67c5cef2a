import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** As the XDG base directories say: a path there that is not absolute does not count. */
export function cacheDirectory({
  XDG_CACHE_HOME: cache,
  HOME: home,
}: Readonly<Record<string, string | undefined>>): string {
  const base = cache && isAbsolute(cache) ? cache : join(home || homedir(), '.cache');
  return join(base, 'sterna');
}
