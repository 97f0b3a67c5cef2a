import { SternaError } from '../base/index.ts';
import type { SwitchoverBody } from '../protocol/index.ts';
import type { IncomingRecord } from './incoming-record.ts';

/**
 * Holds what has come against what SWITCHOVER says was sent: every page of RAM is here, or was told
 * to be `missing`, and no frame is under way. Throws E_PAGE_MISSING, or E_PROTOCOL_BAD_BODY when
 * missing pages are to be compared.
 */
export function refuseIncomplete(
  { pages, batches, missingPages, strictVerify }: SwitchoverBody,
  record: Pick<IncomingRecord, 'totalPages' | 'receivedPages' | 'batches'>,
  missing: number,
): void {
  const missesPages = missingPages !== undefined;
  const told = missingPages ?? missing;
  const accounted = record.receivedPages + (missesPages ? missing : 0);
  const complete = pages === record.totalPages && accounted === record.totalPages;
  if (!complete || batches !== record.batches || told !== missing) {
    throw new SternaError('E_PAGE_MISSING', 'Not every page of RAM has come', {
      detail: {
        totalPages: record.totalPages,
        receivedPages: record.receivedPages,
        missingPages: missing,
        batches: record.batches,
        sentBatches: batches,
      },
    });
  }
  if (!missesPages || !strictVerify) return;
  const text = 'Missing pages cannot be compared before GRANT';
  throw new SternaError('E_PROTOCOL_BAD_BODY', text);
}
