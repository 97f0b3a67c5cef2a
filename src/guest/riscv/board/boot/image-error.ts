import { SternaError } from '../../../../base/index.ts';

/** A file that cannot be booted. `remedy` says what to type or use instead. */
export function imageError(
  file: string,
  what: string,
  remedy: string,
  detail: Readonly<Record<string, unknown>> = {},
): SternaError {
  return new SternaError('E_GUEST_IMAGE', `${file} ${what}`, {
    detail: { file, remedy, ...detail },
  });
}
