import { Fields } from './fields.ts';

/** The newest measurement of `calc-dirty-rate`. */
export interface DirtyRateView {
  readonly bytesPerSecond: number;
  readonly measuredMs: number;
  /** `page-sampling` or `dirty-bitmap`. */
  readonly mode: string;
}

/** Reads a reply of `query-dirty-rate`; undefined: nothing was measured, or not to its end. */
export function readDirtyRate(reply: unknown): DirtyRateView | undefined {
  const fields = new Fields(reply);
  if (fields.text('status') !== 'measured') return undefined;
  const sterna = fields.object('x-sterna');
  return {
    // QEMU's field has whole MiB per second only.
    bytesPerSecond: sterna.number('bytes-per-second') ?? fields.count('dirty-rate') * 2 ** 20,
    measuredMs: sterna.number('measured-ms') ?? fields.count('calc-time') * 1000,
    mode: fields.text('mode') ?? 'page-sampling',
  };
}
