/**
 * Bounds that no configuration and no peer can pass. Each is checked before anything is allocated.
 */

export const PAGE_BYTES = 4096;

export const RAM_BYTES_MIN = 16 * 2 ** 20;
export const RAM_BYTES_MAX = 16 * 2 ** 30;
/** One RAM block lies in one 32-bit WebAssembly memory beside its maps, staging and cache. */
export const RAM_BLOCK_BYTES_MAX = 2 * 2 ** 30;
export const VCPU_COUNT_MAX = 16;

/**
 * Page payload of one frame at most; 1 MiB is 0.8 ms of wire at 10 Gbit/s, so a cancel is felt
 * within one.
 */
export const BATCH_PAGES_MAX = 256;
/** Further connections for the pages of one migration; each needs a place to receive a frame. */
export const MULTIFD_CHANNELS_MAX = 16;
/** HELLO comes from a stranger: small. */
export const HELLO_BYTES_MAX = 16 * 2 ** 10;
export const CONTROL_BYTES_MAX = 64 * 2 ** 10;
export const MACHINE_STATE_BYTES_MAX = 2 ** 20;

/** One frame of a link probe: a fourth of the longest one of pages. */
export const PROBE_DATA_BYTES_MAX = 256 * 2 ** 10;
/** What a destination lets one link probe take, whatever it asks for. */
export const PROBE_MS_MAX = 10_000;
export const PROBE_BYTES_MAX = 16 * 2 ** 30;

export const NAME_LENGTH_MAX = 128;
export const ERROR_TEXT_BYTES_MAX = 512;
export const QMP_LINE_BYTES_MAX = 2 ** 20;
