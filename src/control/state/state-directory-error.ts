import { SternaError } from '../../base/index.ts';

/** What the platform says of something in the state directory, with the path and the reason. */
export function stateDirectoryError(path: string, doing: string, thrown: unknown): SternaError {
  if (thrown instanceof SternaError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { code } = cause as NodeJS.ErrnoException;
  return new SternaError('E_STATE_DIRECTORY', `Cannot ${doing} ${path}`, {
    cause,
    detail: { path, cause: cause.message, ...(code === undefined ? {} : { systemCode: code }) },
  });
}
