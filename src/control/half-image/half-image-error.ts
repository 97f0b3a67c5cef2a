import { SternaError } from '../../base/index.ts';

/** What is wrong with a half image, by name. */
export function halfImageError(
  text: string,
  detail: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): SternaError {
  return new SternaError('E_HALF_IMAGE', text, {
    detail,
    ...(cause === undefined ? {} : { cause }),
  });
}
