/** What a script may rely on (docs/operations.md, Exit codes). */
export const EXIT_CODES = {
  OK: 0,
  /** The migration or command failed; the message says where the guest is. */
  FAILED: 1,
  USAGE: 2,
  RAM_MISMATCH: 3,
  OWNER_UNKNOWN: 4,
  /** The guest runs at the destination, pages of it are missing, and there is no link. */
  POSTCOPY_PAUSED: 5,
  /** A defect of Sterna itself. */
  BUG: 70,
  /** As a shell reports SIGINT. */
  CANCELLED: 130,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];
