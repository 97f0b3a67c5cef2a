import { type ErrorCode, SternaError, toSternaError } from '../base/index.ts';
import { isTlsAlert, tlsError } from './security/tls-error.ts';

const REFUSED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
]);

/** What the platform says of a connection, in our words. `name` is the channel's. */
export function channelError(name: string, thrown: unknown): SternaError {
  if (isTlsAlert(thrown)) return tlsError(name, thrown);
  const systemCode = (thrown as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (REFUSED.has(systemCode)) return wrap(name, thrown, 'E_CHANNEL_REFUSED', 'Cannot connect to');
  if (systemCode === 'ETIMEDOUT') {
    return wrap(name, thrown, 'E_CHANNEL_TIMEOUT', 'No answer from');
  }
  return wrap(name, thrown, 'E_CHANNEL_RESET', 'Lost the connection with');
}

/** What the platform says of a file, with its path and reason (ENOSPC, EACCES, ...). */
export function fileError(path: string, doing: string, thrown: unknown): SternaError {
  if (thrown instanceof SternaError) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  return new SternaError('E_FILE', `Cannot ${doing} ${path}`, {
    cause: thrown,
    detail: { path, cause: message, ...(code === undefined ? {} : { systemCode: code }) },
  });
}

function wrap(name: string, thrown: unknown, code: ErrorCode, text: string): SternaError {
  return toSternaError(thrown, code, `${text} ${name}`);
}
