import { type Clock, SternaError } from '../../base/index.ts';
import {
  type Channel,
  connectTcp,
  createFileChannel,
  loadSecurity,
  parseAddress,
  requireProtected,
  type SecuritySettings,
} from '../../channel/index.ts';

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly security: SecuritySettings;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Every connection of a source begins here, with the keys as the files now are. Rejects with
 * E_CONFIG_INVALID for other addresses, E_FILE, or what `connectTcp` rejects with.
 */
export async function openConnection(uri: string, options: ConnectionOptions): Promise<Channel> {
  const { clock, security: settings, timeoutMs, signal } = options;
  const address = parseAddress(uri);
  if (address.kind === 'tcp') {
    requireProtected(address, settings, 'migrate');
    const security = loadSecurity(settings, 'connect');
    return connectTcp(address, { clock, timeoutMs, signal, security });
  }
  if (address.kind === 'file') return createFileChannel(address.path, clock);
  throw unsupported(uri);
}

/** For addresses that a migration cannot use. */
export function unsupported(uri: string): SternaError {
  return new SternaError(
    'E_CONFIG_INVALID',
    `A migration needs tcp:HOST:PORT or file:PATH: ${uri}`,
  );
}
