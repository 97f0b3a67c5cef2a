import type { ErrorReport, GuestOwner } from '../../base/index.ts';
import { type CompressionView, readCompression } from './compression-view.ts';
import { type ConvergenceView, readConvergence } from './convergence-view.ts';
import { Fields } from './fields.ts';
import { type PostcopyView, readPostcopy } from './postcopy-view.ts';
import { readError, readOwner } from './reported-error.ts';

/** What `query-migrate` says, as the rest of the command line reads it. */
export interface MigrationView {
  readonly status: string;
  readonly side: 'source' | 'destination';
  readonly owner: GuestOwner;
  readonly migrationId: string;
  readonly mode: string;
  readonly epoch: number;
  readonly totalTimeMs: number;
  readonly setupTimeMs: number;
  readonly expectedDowntimeMs: number | undefined;
  readonly downtimeMs: number | undefined;
  readonly guestDowntimeUs: number | undefined;
  readonly guestDowntimeErrorUs: number | undefined;
  /** Milliseconds by name, in the order in which they happened. */
  readonly downtimeParts: ReadonlyMap<string, number>;
  readonly ram: RamView;
  readonly xbzrle: XbzrleView | undefined;
  readonly pageKinds: ReadonlyMap<string, { readonly pages: number; readonly bytes: number }>;
  readonly passes: readonly PassView[];
  /** Undefined before the switch. */
  readonly postcopy: PostcopyView | undefined;
  readonly convergence: ConvergenceView;
  readonly compression: CompressionView;
  readonly verify: VerifyView;
  readonly error: ErrorReport | undefined;
  readonly errorText: string | undefined;
}

export interface RamView {
  readonly transferredBytes: number;
  readonly remainingBytes: number;
  readonly totalBytes: number;
  readonly pageBytes: number;
  readonly zeroPages: number;
  readonly normalPages: number;
  readonly dirtyPagesPerSecond: number;
  readonly pagesPerSecond: number;
  readonly bitsPerSecond: number;
  /** Passes begun. */
  readonly dirtySyncCount: number;
}

export interface XbzrleView {
  readonly cacheBytes: number;
  readonly encodedBytes: number;
  readonly pages: number;
  readonly missPages: number;
  readonly overflowPages: number;
}

export interface PassView {
  readonly pass: number;
  readonly stopped: boolean;
  readonly durationMs: number;
  readonly dirtyPages: number;
  readonly sentPages: number;
  readonly sentBytes: number;
  readonly dirtiedPages: number;
  readonly effectiveBytesPerSecond: number;
}

export interface VerifyView {
  readonly status: string;
  readonly pages: number;
  readonly mismatches: readonly string[];
  readonly reason: string | undefined;
}

/** Reads a reply of `query-migrate`; what an older agent does not say is zero or undefined. */
export function readMigration(reply: unknown): MigrationView {
  const fields = new Fields(reply);
  const sterna = fields.object('x-sterna');
  const side = sterna.text('side') === 'destination' ? 'destination' : 'source';
  return {
    status: fields.text('status') ?? 'none',
    side,
    owner: readOwner(sterna.text('owner')),
    migrationId: sterna.text('migration-id') ?? '',
    mode: sterna.text('mode') ?? 'precopy',
    epoch: sterna.count('epoch'),
    totalTimeMs: fields.count('total-time'),
    setupTimeMs: fields.count('setup-time'),
    expectedDowntimeMs: fields.number('expected-downtime'),
    // QEMU's field has whole milliseconds only.
    downtimeMs: sterna.number('downtime-ms') ?? fields.number('downtime'),
    guestDowntimeUs: sterna.number('guest-downtime-us'),
    guestDowntimeErrorUs: sterna.number('guest-downtime-error-us'),
    downtimeParts: readParts(sterna.object('downtime-parts')),
    ram: readRam(fields.object('ram'), sterna),
    xbzrle: fields.has('xbzrle-cache') ? readXbzrle(fields.object('xbzrle-cache')) : undefined,
    pageKinds: readPageKinds(sterna.object('page-kinds')),
    passes: sterna.list('passes').map(readPass),
    postcopy: readPostcopy(fields, sterna),
    convergence: readConvergence(sterna),
    compression: readCompression(sterna),
    verify: readVerify(sterna.object('verify')),
    error: readError(sterna.object('error'), fields.text('error-desc')),
    errorText: fields.text('error-desc'),
  };
}

/** Where a destination listens, as a reply tells it. */
export function listenAddress(reply: unknown): string | undefined {
  const [first] = new Fields(reply).list('socket-address');
  const fields = new Fields(first);
  const host = fields.text('host');
  const port = fields.text('port');
  if (host === undefined || port === undefined) return undefined;
  return `tcp:${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The guest runs at the destination, and pages of it are missing. */
export function isInPostcopy({ status }: Pick<MigrationView, 'status'>): boolean {
  return status.startsWith('postcopy-');
}

/** True when nothing will change any more, the comparison of the RAM included. */
export function hasEnded(view: MigrationView): boolean {
  if (view.status === 'failed' || view.status === 'cancelled') return true;
  const comparing = view.verify.status === 'pending' || view.verify.status === 'running';
  return view.status === 'completed' && !comparing;
}

function readParts(fields: Fields): ReadonlyMap<string, number> {
  return new Map(fields.keys().map((name) => [name, fields.count(name)]));
}

function readRam(ram: Fields, sterna: Fields): RamView {
  const transferred = ram.number('transferred') ?? sterna.number('transferred') ?? 0;
  return {
    transferredBytes: transferred,
    remainingBytes: ram.count('remaining'),
    totalBytes: ram.count('total'),
    pageBytes: ram.number('page-size') ?? 4096,
    zeroPages: ram.count('duplicate'),
    normalPages: ram.count('normal'),
    dirtyPagesPerSecond: ram.count('dirty-pages-rate'),
    pagesPerSecond: ram.count('pages-per-second'),
    bitsPerSecond: ram.count('mbps') * 1e6,
    dirtySyncCount: ram.count('dirty-sync-count'),
  };
}

function readXbzrle(fields: Fields): XbzrleView {
  return {
    cacheBytes: fields.count('cache-size'),
    encodedBytes: fields.count('bytes'),
    pages: fields.count('pages'),
    missPages: fields.count('cache-miss'),
    overflowPages: fields.count('overflow'),
  };
}

function readPageKinds(fields: Fields): MigrationView['pageKinds'] {
  const kinds = fields.keys().map((kind) => {
    const counted = fields.object(kind);
    return [kind, { pages: counted.count('pages'), bytes: counted.count('bytes') }] as const;
  });
  return new Map(kinds);
}

function readPass(value: unknown): PassView {
  const fields = new Fields(value);
  return {
    pass: fields.count('pass'),
    stopped: fields.flag('stopped'),
    durationMs: fields.count('duration-ms'),
    dirtyPages: fields.count('dirty-pages'),
    sentPages: fields.count('sent-pages'),
    sentBytes: fields.count('sent-bytes'),
    dirtiedPages: fields.count('dirtied-pages'),
    effectiveBytesPerSecond: fields.count('effective-bytes-per-second'),
  };
}

function readVerify(fields: Fields): VerifyView {
  return {
    status: fields.text('status') ?? 'skipped',
    pages: fields.count('pages'),
    mismatches: fields.list('mismatches').map(String),
    reason: fields.text('reason'),
  };
}
