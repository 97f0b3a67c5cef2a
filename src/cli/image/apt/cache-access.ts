import { SternaError, toSternaError } from '../../../base/index.ts';

/**
 * Runs what reads or writes a cache. What the system refuses becomes E_IMAGE_CACHE; anything else
 * is passed through, a defect above all.
 */
export async function accessCache<T>(directory: string, access: () => Promise<T>): Promise<T> {
  try {
    return await access();
  } catch (thrown) {
    if (thrown instanceof SternaError || !isRefusal(thrown)) throw thrown;
    throw toSternaError(thrown, 'E_IMAGE_CACHE', `The cache ${directory} cannot be used`);
  }
}

function isRefusal(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown;
}
