import { type Logger, SternaError } from '../base/index.ts';
import {
  encodeVerifyResult,
  type FrameHeader,
  MISMATCH_COUNT_MAX,
  type VerifyEndBody,
} from '../protocol/index.ts';
import type { IncomingRecord } from './incoming-record.ts';
import type { PageLoader } from './page-loader.ts';

/** The proof, on this side: compares the source's hashes with the pages that have come. */
export class HashComparison {
  /** Before GRANT, or the guest does not run. */
  isStrict = false;
  private readonly record: IncomingRecord;
  private readonly log: Logger;

  constructor(record: IncomingRecord, log: Logger) {
    this.record = record;
    this.log = log;
  }

  /** A VERIFY_HASHES frame that lies where the loader said. */
  compare(loader: PageLoader, header: FrameHeader): void {
    const { verify } = this.record;
    const fromRam = this.isStrict && this.record.status !== 'completed';
    const { pages, differences } = loader.compare(header, fromRam, MISMATCH_COUNT_MAX);
    this.record.verify = {
      status: 'running',
      pages: verify.pages + pages,
      mismatches: [...verify.mismatches, ...differences].slice(0, MISMATCH_COUNT_MAX),
    };
  }

  /** The source has sent its last hashes. Returns the body of VERIFY_RESULT. */
  end({ pages: announcedPages, partial = false }: VerifyEndBody): Uint8Array {
    const { verify, totalPages } = this.record;
    // What must be identical before the guest runs is all of its RAM.
    const wanted = partial && !this.isStrict ? announcedPages : totalPages;
    const complete = verify.pages === wanted && announcedPages === wanted;
    const status = complete && verify.mismatches.length === 0 ? 'identical' : 'mismatch';
    this.record.verify = { ...verify, status };
    if (status === 'mismatch')
      this.log.error({ event: 'verify.mismatch', pages: verify.mismatches });
    const { pages, mismatches } = verify;
    return encodeVerifyResult({ status, pages, mismatches });
  }

  /** What was to be compared before GRANT (strict, or from a file) must have been identical. */
  refuseMismatch(): void {
    const { status } = this.record.verify;
    if (this.isStrict && status !== 'identical' && status !== 'mismatch') {
      throw new SternaError(
        'E_PROTOCOL_UNEXPECTED_MESSAGE',
        'GRANT came before the RAM was compared',
      );
    }
    if (status !== 'mismatch') return;
    throw new SternaError('E_VERIFY_MISMATCH', 'RAM differs from that of the source', {
      detail: { pages: this.record.verify.mismatches.join(' ') },
    });
  }
}
