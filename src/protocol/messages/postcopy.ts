import { VCPU_COUNT_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { PAGE_COUNT_MAX } from '../body/page-count.ts';

/** A page by its place. */
export interface PageName {
  /** Index of the RAM block in HELLO. */
  readonly block: number;
  /** Within the block. */
  readonly pfn: number;
}

/** vCPUs wait for these pages: they go ahead of everything that the source sends by itself. */
export interface PageRequestBody {
  /** 1 to 16. */
  readonly pages: readonly PageName[];
}

/** Every page that was missing was sent. */
export interface PostcopyEndBody {
  /** Sent since the switch, on all connections; repetitions after a recovery counted. */
  readonly pages: number;
}

/** No page is missing at the destination any more, and what its guest has waited for. */
export interface AllReceivedBody {
  /** Pages of RAM: all of them. */
  readonly pages: number;
  /** Different pages that were asked for. */
  readonly requestedPages: number;
  /** Time in which every vCPU was blocked at once, milliseconds. */
  readonly blocktimeMs: number;
  /** Time in which each vCPU was blocked, milliseconds. */
  readonly vcpuBlocktimeMs: readonly number[];
  /** Mean time from a fault to the vCPU's going on, nanoseconds. */
  readonly latencyNs: number;
}

/** One for each vCPU: it can wait for one page at a time. */
export const PAGE_REQUEST_PAGES_MAX = VCPU_COUNT_MAX;
const BLOCK_MAX = 15;

export function encodePageRequest(body: PageRequestBody): Uint8Array {
  return packBody('PAGE_REQUEST', {
    pages: body.pages.map(({ block, pfn }) => ({ block, pfn })),
  });
}

export function decodePageRequest(bytes: Uint8Array): BodyResult<PageRequestBody> {
  return readBody('PAGE_REQUEST', bytes, (fields) => {
    const pages = fields.maps('pages', PAGE_REQUEST_PAGES_MAX, (page) => ({
      block: page.integer('block', 0, BLOCK_MAX),
      pfn: page.integer('pfn', 0, PAGE_COUNT_MAX - 1),
    }));
    if (pages.length === 0) fields.fail('pages', 'is empty');
    return { pages };
  });
}

export function encodePostcopyEnd(body: PostcopyEndBody): Uint8Array {
  return packBody('POSTCOPY_END', { pages: body.pages });
}

export function decodePostcopyEnd(bytes: Uint8Array): BodyResult<PostcopyEndBody> {
  return readBody('POSTCOPY_END', bytes, (fields) => ({
    pages: fields.integer('pages', 0, Number.MAX_SAFE_INTEGER),
  }));
}

export function encodeAllReceived(body: AllReceivedBody): Uint8Array {
  return packBody('ALL_RECEIVED', {
    pages: body.pages,
    requestedPages: body.requestedPages,
    blocktimeMs: body.blocktimeMs,
    vcpuBlocktimeMs: body.vcpuBlocktimeMs,
    latencyNs: body.latencyNs,
  });
}

export function decodeAllReceived(bytes: Uint8Array): BodyResult<AllReceivedBody> {
  return readBody('ALL_RECEIVED', bytes, (fields) => ({
    pages: fields.integer('pages', 0, PAGE_COUNT_MAX),
    requestedPages: fields.integer('requestedPages', 0, PAGE_COUNT_MAX),
    blocktimeMs: fields.amount('blocktimeMs'),
    vcpuBlocktimeMs: fields.moments('vcpuBlocktimeMs', VCPU_COUNT_MAX),
    latencyNs: fields.amount('latencyNs'),
  }));
}
