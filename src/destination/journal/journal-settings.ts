import { MIGRATION_PARAMETERS, PAGE_BYTES, SternaError } from '../../base/index.ts';
import type { HelloBody } from '../../protocol/index.ts';

/** What HELLO said of the journal. */
export interface JournalSettings {
  /** 0: unlimited. */
  readonly bandwidthBytesPerSecond: number;
  readonly intervalMs: number;
  /** Pages that either side keeps of one point at most. */
  readonly bufferPages: number;
}

/** Throws E_CONFIG_INVALID for a value that the parameter cannot have. */
export function journalSettings({ parameters }: HelloBody): JournalSettings {
  const read = (name: string) => numberOf(name, parameters[name]);
  return {
    bandwidthBytesPerSecond: read('x-postcopy-journal-bandwidth'),
    intervalMs: read('x-postcopy-journal-interval'),
    bufferPages: Math.floor(read('x-postcopy-journal-buffer') / PAGE_BYTES),
  };
}

function numberOf(name: string, told: unknown): number {
  const definition = MIGRATION_PARAMETERS[name];
  if (definition?.type !== 'number') throw invalid(name, told);
  const value = told ?? definition.default;
  const { min, max } = definition;
  if (typeof value !== 'number' || value < min || value > max) throw invalid(name, told);
  return value;
}

function invalid(name: string, value: unknown): SternaError {
  return new SternaError('E_CONFIG_INVALID', `Source asks for an impossible ${name}`, {
    detail: { value: String(value) },
  });
}
