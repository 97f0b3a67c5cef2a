import { PAGE_BYTES } from '../../base/index.ts';
import { invalid, pagesOf, type WorkloadKeys, wholeNumber } from './workload-keys.ts';

/**
 * A media server: each vCPU makes the frames of one channel at a steady rate in a part of the ring,
 * and hands out those that its clients ask for. Every page of a frame names its frame and carries a
 * checksum.
 */
export interface StreamSpec {
  readonly kind: 'stream';
  readonly fillBytes: number;
  /** Of all channels together; whole frames. */
  readonly ringBytes: number;
  /** Whole pages. */
  readonly frameBytes: number;
  /** Of each channel, in guest time. */
  readonly framesPerSecond: number;
  /** Share of a frame's content that differs from the frame before it in the same place. */
  readonly changePercent: number;
}

export const STREAM_KEYS = ['fill', 'ring', 'frame', 'fps', 'change'] as const;

const FRAME_BYTES_MAX = 2 ** 20;
const FRAME_BYTES_DEFAULT = 64 * 2 ** 10;
const RING_BYTES_DEFAULT = 16 * 2 ** 20;
const HEADER_BYTES = 16;
/** A frame that is made and a frame that is read. */
const CHANNEL_FRAMES_MIN = 2;

export function buildStream(values: WorkloadKeys): StreamSpec {
  const frameBytes = pagesOf(values, 'frame', FRAME_BYTES_DEFAULT, 1, FRAME_BYTES_MAX);
  const ringBytes = pagesOf(values, 'ring', RING_BYTES_DEFAULT, PAGE_BYTES);
  return {
    kind: 'stream',
    fillBytes: pagesOf(values, 'fill', 0, 0),
    ringBytes: Math.ceil(ringBytes / frameBytes) * frameBytes,
    frameBytes,
    framesPerSecond: wholeNumber(values, 'fps', 25, 1, 1000),
    changePercent: wholeNumber(values, 'change', 100, 0, 100),
  };
}

export function formatStream(spec: StreamSpec): string {
  return [
    'stream',
    `fill=${spec.fillBytes}`,
    `ring=${spec.ringBytes}`,
    `frame=${spec.frameBytes}`,
    `fps=${spec.framesPerSecond}`,
    `change=${spec.changePercent}`,
  ].join(',');
}

export function framePages({ frameBytes }: StreamSpec): number {
  return frameBytes / PAGE_BYTES;
}

/** Bytes of each page that a new frame changes, beside the header. A multiple of 8. */
export function changedBytes({ changePercent }: StreamSpec): number {
  return Math.round(((PAGE_BYTES - HEADER_BYTES) / 8) * (changePercent / 100)) * 8;
}

/** Throws E_CONFIG_INVALID when a channel would have no ring. */
export function checkChannels({ ringBytes, frameBytes }: StreamSpec, vcpuCount: number): void {
  const needed = vcpuCount * CHANNEL_FRAMES_MIN * frameBytes;
  if (ringBytes >= needed) return;
  throw invalid('Workload key ring is too small for a channel of each vCPU', {
    key: 'ring',
    value: ringBytes,
    vcpus: vcpuCount,
    allowed: `${needed} bytes or more: ${CHANNEL_FRAMES_MIN} frames for each vCPU`,
  });
}
