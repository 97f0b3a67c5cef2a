import { SternaError } from '../../base/index.ts';
import { type Address, formatAddress, isLoopback } from '../address.ts';
import { isProtected, type SecuritySettings } from './security.ts';

/**
 * Throws E_CONFIG_INVALID for an address that other hosts reach when there are neither keys nor
 * `insecure`: who reaches the port can send a guest, and who sees the wire reads its memory.
 */
export function requireProtected(
  address: Address,
  settings: SecuritySettings,
  doing: 'listen' | 'migrate',
): void {
  if (address.kind !== 'tcp' || isLoopback(address.host)) return;
  if (isProtected(settings) || settings.insecure) return;
  const where = formatAddress(address);
  const text =
    doing === 'listen'
      ? `Other hosts could reach ${where} without a key`
      : `The memory of the guest would go to ${where} unencrypted`;
  throw new SternaError('E_CONFIG_INVALID', text, {
    detail: { expected: 'an agent with --tls-dir or --psk-file, or with --insecure' },
  });
}
