import type { SternaError } from '../../base/index.ts';
import { CONTROL_DECODERS } from '../control-decoders.ts';
import { FrameDecoder } from '../decoder.ts';
import type { FrameHeader } from '../frame.ts';
import { type MessageName, messageName } from '../message-types.ts';
import type { HelloBody, JoinBody, SwitchoverBody } from '../messages/index.ts';
import { decodePageTable } from '../page-batch.ts';
import { countPages, decodePageMap } from '../page-map.ts';
import { decodeVerifyHashes } from '../verify-hashes.ts';
import {
  countEntry,
  describeBody,
  describeEntry,
  describePages,
  emptyCounts,
  type KindCounts,
} from './dump-lines.ts';
import { StreamOrder } from './stream-order.ts';

export interface DumpOptions {
  /**
   * Also hold the stream against the conversation and its own HELLO, and stop at the first
   * problem.
   */
  readonly strict?: boolean;
  /** One more line for each entry of a page batch. */
  readonly pages?: boolean;
}

export interface DumpSummary extends Readonly<KindCounts> {
  readonly frames: number;
  readonly skippedFrames: number;
  readonly bytes: number;
  readonly messages: Readonly<Partial<Record<MessageName, number>>>;
  /** The first ones, in the order of the stream. */
  readonly problems: readonly DumpProblem[];
}

export interface DumpProblem {
  /** Where the header of the frame begins. */
  readonly offset: number;
  readonly error: SternaError;
}

const PROBLEM_COUNT_MAX = 100;

/**
 * Prints what a source sent (a `file:` stream or a capture of that direction), a line per frame,
 * and sums it up. It is a second reader of the format, plain and strict, and never throws on what
 * it reads.
 */
export async function dumpStream(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  write: (line: string) => void,
  options: DumpOptions = {},
): Promise<DumpSummary> {
  const dump = new StreamDump(write, options);
  for await (const chunk of chunks) {
    if (!dump.read(chunk)) break;
  }
  return dump.finish();
}

class StreamDump {
  private readonly decoder = new FrameDecoder({ reportSkipped: true });
  private readonly order = new StreamOrder();
  private readonly write: (line: string) => void;
  private readonly strict: boolean;
  private readonly listsPages: boolean;
  private readonly messages: Partial<Record<MessageName, number>> = {};
  private readonly problems: DumpProblem[] = [];
  private frames = 0;
  private skippedFrames = 0;
  private readonly counts = emptyCounts();
  private stopped = false;

  constructor(write: (line: string) => void, options: DumpOptions) {
    this.write = write;
    this.strict = options.strict ?? false;
    this.listsPages = options.pages ?? false;
  }

  /** False when nothing more can be read. */
  read(chunk: Uint8Array): boolean {
    this.decoder.push(chunk);
    while (!this.stopped) {
      const result = this.decoder.next();
      if (result.kind === 'incomplete') return true;
      if (result.kind === 'malformed') {
        this.report(result.offset, result.error);
        this.stopped = true;
      } else if (result.kind === 'skipped') {
        this.skippedFrames += 1;
        const { sequence, bodyBytes } = result.header;
        this.line(result.offset, sequence, '(optional)', bodyBytes, 'unknown, skipped');
      } else {
        this.frame(result.offset, result.header, result.body);
      }
    }
    return false;
  }

  finish(): DumpSummary {
    if (!this.stopped) {
      const error = this.decoder.end() ?? (this.strict ? this.order.end() : undefined);
      if (error !== undefined) this.report(this.decoder.streamOffset, error);
    }
    const summary: DumpSummary = {
      frames: this.frames,
      skippedFrames: this.skippedFrames,
      bytes: this.decoder.streamOffset,
      messages: this.messages,
      ...this.counts,
      problems: this.problems,
    };
    this.summarise(summary);
    return summary;
  }

  private frame(offset: number, header: FrameHeader, body: Uint8Array): void {
    const name = messageName(header.type);
    // readHeader() lets no type without a name through.
    if (name === undefined) return;
    this.frames += 1;
    this.messages[name] = (this.messages[name] ?? 0) + 1;
    const disorder = this.strict ? this.order.message(name) : undefined;
    if (disorder !== undefined) {
      this.line(offset, header.sequence, name, header.bodyBytes, '');
      this.report(offset, disorder);
      return;
    }
    if (name === 'PAGE_BATCH' || name === 'JOURNAL_PAGES')
      this.pageBatch(offset, header, name, body);
    else if (name === 'VERIFY_HASHES') this.hashes(offset, header, body);
    else if (name === 'PROBE_DATA') this.line(offset, header.sequence, name, header.bodyBytes, '');
    else if (name === 'MISSING_MAP' || name === 'RECEIVED_MAP') {
      this.pageMap(offset, header, name, body);
    } else {
      const decoded = CONTROL_DECODERS[name](body);
      const text = decoded.kind === 'ok' ? describeBody(decoded.body) : '';
      this.line(offset, header.sequence, name, header.bodyBytes, text);
      if (decoded.kind === 'malformed') this.report(offset, decoded.error);
      else this.reportIf(offset, this.disagreement(name, decoded.body));
    }
  }

  private disagreement(name: MessageName, body: object): SternaError | undefined {
    // The decoder of that name made the body.
    if (name === 'HELLO') this.order.hello(body as HelloBody);
    if (name === 'JOIN') this.order.join(body as JoinBody);
    return name === 'SWITCHOVER' ? this.order.switchover(body as SwitchoverBody) : undefined;
  }

  private pageBatch(
    offset: number,
    header: FrameHeader,
    name: MessageName,
    body: Uint8Array,
  ): void {
    const decoded = decodePageTable(body, header.checkedBytes);
    const entries = decoded.kind === 'ok' ? decoded.body : [];
    const text = describePages(header.block, entries);
    this.line(offset, header.sequence, name, header.bodyBytes, text);
    if (decoded.kind === 'malformed') this.report(offset, decoded.error);
    for (const entry of entries) countEntry(this.counts, entry);
    if (this.listsPages) for (const entry of entries) this.write(`    ${describeEntry(entry)}`);
    this.reportIf(offset, this.order.pages(header.block, entries));
  }

  private hashes(offset: number, header: FrameHeader, body: Uint8Array): void {
    const decoded = decodeVerifyHashes(body);
    if (decoded.kind === 'malformed') {
      this.line(offset, header.sequence, 'VERIFY_HASHES', header.bodyBytes, '');
      this.report(offset, decoded.error);
      return;
    }
    const { firstPfn, hashes } = decoded.body;
    const text = `block ${header.block} pfn ${firstPfn}-${firstPfn + hashes.length - 1}`;
    this.line(offset, header.sequence, 'VERIFY_HASHES', header.bodyBytes, text);
    this.reportIf(offset, this.order.range(header.block, firstPfn, hashes.length));
  }

  private pageMap(
    offset: number,
    header: FrameHeader,
    name: 'MISSING_MAP' | 'RECEIVED_MAP',
    body: Uint8Array,
  ): void {
    const pageCount = this.order.pagesOf(header.block);
    const decoded = decodePageMap(name, body, pageCount);
    const pages = decoded.kind === 'ok' ? countPages(decoded.body) : 0;
    const text = decoded.kind === 'ok' ? `block ${header.block} pages ${pages}` : '';
    this.line(offset, header.sequence, name, header.bodyBytes, text);
    if (decoded.kind === 'malformed') this.report(offset, decoded.error);
  }

  private line(offset: number, sequence: number, name: string, bytes: number, text: string): void {
    const at = offset.toString(16).padStart(10, '0');
    const number = `#${sequence}`.padEnd(7);
    const head = `${at}  ${number} ${name.padEnd(14)} ${String(bytes).padStart(8)} B`;
    this.write(text === '' ? head : `${head}  ${text}`);
  }

  /** A disagreement inside the stream matters to a strict reader only. */
  private reportIf(offset: number, error: SternaError | undefined): void {
    if (this.strict && error !== undefined) this.report(offset, error);
  }

  private report(offset: number, error: SternaError): void {
    this.write(
      `PROBLEM at offset ${offset} (0x${offset.toString(16)}): ${error.code}: ${error.message}`,
    );
    if (this.problems.length < PROBLEM_COUNT_MAX) this.problems.push({ offset, error });
    if (this.strict) this.stopped = true;
  }

  private summarise(summary: DumpSummary): void {
    const counts = Object.entries(summary.messages).map(([name, count]) => `${name} ${count}`);
    this.write(
      `${summary.frames} frames, ${summary.bytes} bytes: ${counts.join(', ') || 'nothing'}`,
    );
    this.write(
      `pages: ${summary.zeroPages} zero, ${summary.rawPages} raw, ${summary.xbzrlePages} xbzrle, ${summary.lz4Pages} lz4, ${summary.lz4XbzrlePages} lz4-xbzrle`,
    );
    const count = summary.problems.length;
    this.write(
      count === 0 ? 'no problem found' : `${count} problem${count === 1 ? '' : 's'} found`,
    );
  }
}
