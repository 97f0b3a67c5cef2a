/** A reply of `query-migrate` in the middle of pass 3; `overrides` replace whole fields. */
export function activeReply(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    status: 'active',
    'total-time': 2_000,
    'setup-time': 12,
    'expected-downtime': 40,
    ram: {
      transferred: 300 * 2 ** 20,
      remaining: 8 * 2 ** 20,
      total: 256 * 2 ** 20,
      duplicate: 16_384,
      normal: 49_152,
      'dirty-pages-rate': 5_000,
      'pages-per-second': 30_000,
      mbps: 1_000,
      'dirty-sync-count': 3,
      'page-size': 4096,
    },
    'x-sterna': sternaFields(),
    ...overrides,
  };
}

/** Ours under `x-sterna`, during a migration. */
export function sternaFields(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    'migration-id': 'm-1',
    side: 'source',
    epoch: 1,
    owner: 'source',
    mode: 'precopy',
    'downtime-parts': {},
    verify: { status: 'running', pages: 0 },
    'page-kinds': {},
    passes: [],
    ...overrides,
  };
}

/** A migration that succeeded, with two passes and a proof. */
export function completedReply(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  const active = activeReply();
  return {
    ...active,
    status: 'completed',
    downtime: 8,
    'expected-downtime': undefined,
    ram: { ...(active.ram as object), remaining: 0 },
    'xbzrle-cache': {
      'cache-size': 2 ** 26,
      bytes: 5_000,
      pages: 70,
      'cache-miss': 3,
      overflow: 1,
    },
    'x-sterna': sternaFields({
      epoch: 2,
      owner: 'destination',
      'downtime-ms': 8.25,
      'guest-downtime-us': 6_100,
      'guest-downtime-error-us': 50,
      'downtime-parts': { pause: 0.25, 'last-pages': 6, handshake: 2 },
      verify: { status: 'identical', pages: 65_536 },
      'page-kinds': {
        zero: { pages: 16_384, bytes: 160 },
        raw: { pages: 49_152, bytes: 202_113_024 },
        xbzrle: { pages: 70, bytes: 5_000 },
        unchanged: { pages: 0, bytes: 0 },
      },
      passes: [passRecord(1, false), passRecord(2, true)],
    }),
    ...overrides,
  };
}

export function passRecord(pass: number, stopped: boolean): Record<string, unknown> {
  return {
    pass,
    stopped,
    'duration-ms': 500,
    'dirty-pages': 1_000,
    'sent-pages': 900,
    'sent-bytes': 3_686_400,
    'dirtied-pages': 40,
    'effective-bytes-per-second': 128 * 2 ** 20,
  };
}

/** A source in post-copy, by default with its link, that has sent three quarters. */
export function postcopyReply(
  status = 'postcopy-active',
  postcopy: Record<string, unknown> = {},
): Record<string, unknown> {
  const active = activeReply();
  return {
    ...active,
    status,
    downtime: 8,
    'expected-downtime': undefined,
    ram: { ...(active.ram as object), remaining: 1_000 * 4096, 'postcopy-requests': 200 },
    'x-sterna': sternaFields({
      epoch: 2,
      owner: 'destination',
      mode: 'hybrid',
      'downtime-ms': 8.25,
      postcopy: postcopyFields(postcopy),
    }),
  };
}

/** `x-sterna.postcopy`. */
export function postcopyFields(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    missing: 4_000,
    remaining: 1_000,
    requests: 200,
    'late-requests': 3,
    duplicates: 0,
    'waited-share': 0.05,
    recoveries: 0,
    'paused-ms': 0,
    'waits-for-resume': false,
    ...overrides,
  };
}
