/**
 * Every failure that Sterna reports. Match on `code`; never parse `message`.
 *
 * Four kinds, never mixed: a *choice* of the user, the *world* (network, disk, limits), the *peer*,
 * and a *bug* (`assert`, never caught). `docs/errors.md` lists the codes; `test/tidy` keeps the two
 * equal.
 */

/**
 * Who may run the guest after the failure. `unknown`: GRANT may have been sent and no answer came.
 */
export type GuestOwner = 'source' | 'destination' | 'unknown' | 'none';

export type ErrorKind = 'choice' | 'world' | 'peer';

/** Code -> [number on the wire, kind, what to do next]. Numbers are never reused. */
export const ERROR_CODES = {
  E_CONFIG_INVALID: [1, 'choice', 'Correct the option and run the command again.'],
  E_CANCELLED: [2, 'choice', 'The guest runs where it ran before; migrate again when you like.'],
  E_PRECOPY_TIMEOUT: [3, 'choice', 'Raise --timeout or --downtime, or use --timeout-suspend.'],
  E_STATE: [
    4,
    'choice',
    'Look at the state with `sterna info`, then choose a command that it allows.',
  ],
  E_CHANNEL_REFUSED: [10, 'world', 'Check that `sterna destination` listens at that address.'],
  E_CHANNEL_RESET: [
    11,
    'world',
    'Check the network and the peer, and that both or neither use TLS; then migrate again.',
  ],
  E_CHANNEL_TIMEOUT: [
    12,
    'world',
    'Check that the peer is alive and the link not stalled, then migrate again.',
  ],
  E_NO_MEMORY: [13, 'world', 'Free memory or use a smaller guest.'],
  E_WORKER_DIED: [
    14,
    'world',
    'Read the log of this agent; the guest cannot go on without its vCPU, nor in post-copy without the pages that the worker had to send.',
  ],
  E_STATE_DIRECTORY: [15, 'world', 'Make the state directory writable and free space on its disk.'],
  E_FILE: [16, 'world', 'Check the path, its permissions and the free space.'],
  E_SERIAL_REFUSED: [
    17,
    'world',
    'Start what shall listen there first, or have the agent listen for it: --serial with ,server=on behind the address.',
  ],
  E_DRIVE_LOCKED: [
    18,
    'world',
    'End that process, or give the guest an image of its own. If its host or container is gone for good, remove the file that `lock` names.',
  ],
  E_PROTOCOL_BAD_MAGIC: [30, 'peer', 'Check that the address is a Sterna migration port.'],
  E_PROTOCOL_VERSION: [31, 'peer', 'Run the same version of Sterna on both sides.'],
  E_PROTOCOL_BAD_HEADER: [32, 'peer', 'Check the link for corruption, then migrate again.'],
  E_PROTOCOL_FRAME_TOO_LONG: [
    33,
    'peer',
    'The peer is broken or hostile; check what is at that address.',
  ],
  E_PROTOCOL_CHECKSUM: [34, 'peer', 'Check the link for corruption, then migrate again.'],
  E_PROTOCOL_SEQUENCE: [
    35,
    'peer',
    'Something between the peers drops or repeats data; check the path.',
  ],
  E_PROTOCOL_UNKNOWN_MESSAGE: [36, 'peer', 'Run the same version of Sterna on both sides.'],
  E_PROTOCOL_UNEXPECTED_MESSAGE: [37, 'peer', 'Run the same version of Sterna on both sides.'],
  E_PROTOCOL_BAD_BODY: [
    38,
    'peer',
    'Run the same version of Sterna on both sides; check the link.',
  ],
  E_PROTOCOL_TRUNCATED: [
    39,
    'peer',
    'The stream ended early; check the peer or the file, then migrate again.',
  ],
  E_HANDSHAKE_UUID: [
    50,
    'peer',
    'Give the destination the uuid of this guest, or turn validate-uuid off.',
  ],
  E_HANDSHAKE_RAM_LAYOUT: [51, 'peer', 'Start the destination with limits that admit this guest.'],
  E_HANDSHAKE_MACHINE: [52, 'peer', 'Use a destination that supports this type of machine.'],
  E_HANDSHAKE_CAPABILITY: [53, 'peer', 'Turn off the capability that the peer does not support.'],
  E_HANDSHAKE_EPOCH: [
    54,
    'peer',
    'That state of the guest was already taken over; load a newer one.',
  ],
  E_BUSY: [55, 'peer', 'The destination already has a guest; use another destination.'],
  E_PAGE_HASH: [60, 'peer', 'Check memory and link of both hosts, then migrate again.'],
  E_PAGE_MISSING: [
    61,
    'peer',
    'This is a defect of the peer; report it with the logs of both sides.',
  ],
  E_VERIFY_MISMATCH: [
    62,
    'peer',
    'Keep both processes, and report it with the logs of both sides.',
  ],
  E_MACHINE_STATE: [63, 'peer', 'Run the same version of Sterna on both sides.'],
  E_RECOVERY_REFUSED: [
    64,
    'peer',
    'Go on with the migration, guest and destination that the lost connection belonged to.',
  ],
  E_PAGE_REQUEST: [
    65,
    'peer',
    'This is a defect of the destination; `migrate` with `resume` tries again.',
  ],
  E_GUEST_LOST: [
    71,
    'world',
    'The guest ended with its process. `sterna recover --take-ownership` at a source that has all of its RAM goes back to the last point of the journal, or to the switch.',
  ],
  E_TAKEN_BACK: [
    72,
    'choice',
    'The guest runs here again. End what is left of it at the destination: `sterna quit` there.',
  ],
  E_HALF_IMAGE: [
    73,
    'world',
    'Use the half of that guest, migration and epoch; one that is damaged or not complete is of no use.',
  ],
  E_TRACE: [
    74,
    'world',
    'Record the trace again: one that is damaged or not complete is of no use.',
  ],
  E_GUEST_IMAGE: [
    76,
    'choice',
    'The message and its `remedy` say what the file is and what to use; then start the guest again.',
  ],
  E_GUEST_ENDED: [
    77,
    'world',
    'There is nothing left to migrate. Start the guest anew when you like.',
  ],
  E_OWNERSHIP_UNKNOWN: [
    70,
    'world',
    'The source asks on while it lives, and `sterna info` says when it knows. Ask the destination with `sterna info`, too. If it does not have the guest and never will: `sterna recover --take-ownership` here, or `sterna source --take-ownership` when this source has ended.',
  ],
  E_TLS_HANDSHAKE: [
    80,
    'peer',
    'Give both sides the same kind of keys: --tls-dir from one CA, or the same --psk-file.',
  ],
  E_TLS_CERTIFICATE: [
    81,
    'peer',
    'Renew that certificate (`sterna keygen` for a demo), and check the clocks of both hosts.',
  ],
  E_TLS_UNKNOWN_CA: [82, 'peer', 'Put the CA that signed the certificate into ca-cert.pem.'],
  E_TLS_HOSTNAME: [
    83,
    'peer',
    'Migrate to a name that the certificate has, or say with --tls-hostname which one is right.',
  ],
  E_TLS_PEER_NOT_ALLOWED: [84, 'peer', 'Start the agent that refused with --allow-peer NAME.'],
  E_TLS_EXPECTED: [
    85,
    'peer',
    'Start both sides with --tls-dir or --psk-file, or neither of them.',
  ],
  E_TLS_UNEXPECTED: [
    86,
    'peer',
    'Start the destination with --tls-dir or --psk-file, or the source without.',
  ],
  E_IMAGE_TOOL: [
    100,
    'world',
    'On Debian or Ubuntu: `sudo apt-get install apt dpkg xz-utils debian-archive-keyring`. Elsewhere make the image in a container: `docker build --target image --output DIRECTORY .`',
  ],
  E_IMAGE_MIRROR: [
    101,
    'world',
    'Check the network; give another mirror with --mirror URL, or use what the cache has with --offline.',
  ],
  E_IMAGE_SIGNATURE: [
    102,
    'peer',
    'Check that the mirror is one of Debian, and bring the package debian-archive-keyring up to date.',
  ],
  E_IMAGE_PACKAGE: [
    103,
    'choice',
    'Correct --packages or --suite: the suite must have these packages for riscv64.',
  ],
  E_IMAGE_CACHE: [
    104,
    'world',
    'Run it once without --offline, when no other one uses the cache; or give another directory with --cache.',
  ],
  E_IMAGE_CONTENT: [
    105,
    'peer',
    'The packages are not what an image is made of; try another --suite or --mirror.',
  ],
} as const satisfies Record<string, readonly [number, ErrorKind, string]>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface SternaErrorOptions {
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  readonly guestOwner?: GuestOwner;
  /** Migration phase in which it happened, for example `precopy`. */
  readonly phase?: string;
  /** The side on which the failure was found. */
  readonly side?: 'source' | 'destination';
}

/** The one error class. `message` is one clause, capital first; numbers belong in `detail`. */
export class SternaError extends Error {
  readonly code: ErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  guestOwner: GuestOwner | undefined;
  phase: string | undefined;
  side: 'source' | 'destination' | undefined;

  constructor(code: ErrorCode, message: string, options: SternaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SternaError';
    this.code = code;
    this.detail = options.detail ?? {};
    this.guestOwner = options.guestOwner;
    this.phase = options.phase;
    this.side = options.side;
  }

  get kind(): ErrorKind {
    return ERROR_CODES[this.code][1];
  }

  /** What the user types or does next. */
  get nextStep(): string {
    return ERROR_CODES[this.code][2];
  }
}

/** A failure as data: it crosses threads, QMP and the wire. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly phase: string | undefined;
  readonly side: 'source' | 'destination' | undefined;
  readonly guestOwner: GuestOwner | undefined;
  readonly nextStep: string;
}

export function errorReport(error: SternaError): ErrorReport {
  return {
    code: error.code,
    message: error.message,
    detail: error.detail,
    phase: error.phase,
    side: error.side,
    guestOwner: error.guestOwner,
    nextStep: error.nextStep,
  };
}

/** Rebuilds an error that came as data from another thread. */
export function errorFromReport(report: ErrorReport): SternaError {
  return new SternaError(report.code, report.message, {
    detail: report.detail,
    ...(report.phase === undefined ? {} : { phase: report.phase }),
    ...(report.side === undefined ? {} : { side: report.side }),
    ...(report.guestOwner === undefined ? {} : { guestOwner: report.guestOwner }),
  });
}

/** Wraps what the platform threw; a SternaError is passed through. */
export function toSternaError(thrown: unknown, code: ErrorCode, message: string): SternaError {
  if (thrown instanceof SternaError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  const systemCode = (cause as NodeJS.ErrnoException).code;
  return new SternaError(code, message, {
    cause,
    detail: { cause: cause.message, ...(systemCode === undefined ? {} : { systemCode }) },
  });
}

const CODE_BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map(
  // Object.entries loses the key type; the keys are exactly ErrorCode.
  (Object.entries(ERROR_CODES) as [ErrorCode, readonly [number, ...unknown[]]][]).map(
    ([code, [number]]) => [number, code],
  ),
);

export function errorCodeNumber(code: ErrorCode): number {
  return ERROR_CODES[code][0];
}

export function errorCodeFromNumber(number: number): ErrorCode | undefined {
  return CODE_BY_NUMBER.get(number);
}

/** A programmer's error. Never reachable from a peer's input; never caught. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
