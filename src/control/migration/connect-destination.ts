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

export interface DestinationWay {
  readonly uri: string;
  readonly clock: Clock;
  readonly security: SecuritySettings;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Every connection of a migration begins here, with the keys as the files now are. */
export async function connectDestination(way: DestinationWay): Promise<Channel> {
  const { uri, clock } = way;
  const address = parseAddress(uri);
  if (address.kind === 'tcp') return connectPort(way);
  if (address.kind === 'file') return createFileChannel(address.path, clock);
  throw unsupported(uri);
}

/** The same where a file will not do. Rejects with E_CONFIG_INVALID for one. */
export async function connectPort(way: DestinationWay): Promise<Channel> {
  const { uri, clock, timeoutMs, signal, security: settings } = way;
  const address = parseAddress(uri);
  if (address.kind !== 'tcp') {
    throw new SternaError('E_CONFIG_INVALID', `A link is one to tcp:HOST:PORT: ${uri}`);
  }
  requireProtected(address, settings, 'migrate');
  const security = loadSecurity(settings, 'connect');
  return connectTcp(address, { clock, timeoutMs, signal, security });
}

/** For addresses that a migration cannot use. */
export function unsupported(uri: string): SternaError {
  return new SternaError(
    'E_CONFIG_INVALID',
    `A migration needs tcp:HOST:PORT or file:PATH: ${uri}`,
  );
}
