import { formatBytes } from '../../base/index.ts';
import type { DirtyRateView } from '../migration/dirty-rate-view.ts';
import { isInPostcopy, type MigrationView } from '../migration/migration-view.ts';
import { cacheText, codecText, ghostText } from './compression-text.ts';
import { diagnosisText, policyText, throttledText } from './convergence-text.ts';
import { blockedText, brownoutText, followedText, latencyText, linkText } from './postcopy-text.ts';

/** The lines of `virsh domjobinfo`: its labels, order, column width and units, then ours. */
export function jobInfoLines(view: MigrationView): string[] {
  const rows: [label: string, value: string | undefined][] = [
    ['Job type', jobType(view)],
    ['Operation', view.side === 'destination' ? 'Incoming migration' : 'Outgoing migration'],
    ['Time elapsed', `${Math.round(view.totalTimeMs)} ms`],
    ...dataRows(view),
    ['Constant pages', String(view.ram.zeroPages)],
    ['Normal pages', String(view.ram.normalPages)],
    ['Normal data', size(view.ram.normalPages * view.ram.pageBytes)],
    ...downtimeRows(view),
    ['Setup time', `${Math.round(view.setupTimeMs)} ms`],
    ...xbzrleRows(view),
    ...ownRows(view),
  ];
  return rows
    .filter((row): row is [string, string] => row[1] !== undefined)
    .map(([label, value]) => line(label, value));
}

/** What was measured of the guest outside of any migration. */
export function dirtyRateLine({ bytesPerSecond, measuredMs, mode }: DirtyRateView): string {
  const seconds = (measuredMs / 1000).toFixed(1);
  return line('Measured dirtying', `${formatBytes(bytesPerSecond)}/s over ${seconds} s (${mode})`);
}

export function line(label: string, value: string): string {
  return `${`${label}:`.padEnd(17)} ${value}`;
}

/** libvirt calls a job unbounded when nobody can say when it ends: every pre-copy, no post-copy. */
function jobType(view: MigrationView): string {
  if (view.status === 'none') return 'None';
  if (view.status === 'completed') return 'Completed';
  if (view.status === 'failed') return 'Failed';
  if (view.status === 'cancelled') return 'Cancelled';
  if (isInPostcopy(view)) return 'Bounded';
  return view.mode === 'stop' ? 'Bounded' : 'Unbounded';
}

function dataRows(view: MigrationView): [string, string][] {
  const { transferredBytes, remainingBytes, totalBytes, bitsPerSecond } = view.ram;
  const data: [string, string][] = [
    ['processed', size(transferredBytes)],
    ['remaining', size(remainingBytes)],
    ['total', size(totalBytes)],
  ];
  return [
    // Only RAM moves in this version, so that both groups say the same.
    ...data.map(([label, value]): [string, string] => [`Data ${label}`, value]),
    ...data.map(([label, value]): [string, string] => [`Memory ${label}`, value]),
    ['Memory bandwidth', `${size(bitsPerSecond / 8)}/s`],
    ['Dirty rate', `${Math.round(view.ram.dirtyPagesPerSecond)} pages/s`],
    ['Page size', `${view.ram.pageBytes} bytes`],
    ['Iteration', String(view.ram.dirtySyncCount)],
    ...requestRows(view),
  ];
}

function requestRows({ postcopy }: MigrationView): [string, string][] {
  return postcopy === undefined ? [] : [['Postcopy requests', String(postcopy.requests)]];
}

function downtimeRows(view: MigrationView): [string, string | undefined][] {
  const { downtimeMs, expectedDowntimeMs } = view;
  if (downtimeMs !== undefined) return [['Total downtime', `${Math.round(downtimeMs)} ms`]];
  if (expectedDowntimeMs === undefined) return [];
  return [['Expected downtime', `${Math.round(expectedDowntimeMs)} ms`]];
}

function xbzrleRows(view: MigrationView): [string, string][] {
  if (view.xbzrle === undefined) return [];
  return [
    ['Compression cache', size(view.xbzrle.cacheBytes)],
    ['Compressed data', size(view.xbzrle.encodedBytes)],
    ['Compressed pages', String(view.xbzrle.pages)],
    ['Compression cache misses', String(view.xbzrle.missPages)],
    ['Compression overflows', String(view.xbzrle.overflowPages)],
  ];
}

function compressionRows(view: MigrationView): [string, string | undefined][] {
  const rows: [string, string][] = [
    ['Delta cache', cacheText(view)],
    ['Other sizes', ghostText(view.compression)],
    ['Codec', codecText(view.compression)],
  ];
  return [
    ...rows.map(([label, text]): [string, string | undefined] => [
      label,
      text === '' ? undefined : text,
    ]),
    ...lz4Rows(view),
  ];
}

/** Shown where something became LZ4. */
function lz4Rows({ pageKinds }: MigrationView): [string, string][] {
  const pages = pageKinds.get('lz4')?.pages ?? 0;
  const deltas = pageKinds.get('lz4-xbzrle')?.pages ?? 0;
  if (pages + deltas === 0) return [];
  const bytes = (pageKinds.get('lz4')?.bytes ?? 0) + (pageKinds.get('lz4-xbzrle')?.bytes ?? 0);
  return [['LZ4', `${pages} pages, ${deltas} deltas, ${size(bytes)}`]];
}

/** What domjobinfo does not have. */
function ownRows(view: MigrationView): [string, string | undefined][] {
  const { guestDowntimeUs, verify } = view;
  const guestMs = guestDowntimeUs === undefined ? undefined : guestDowntimeUs / 1000;
  return [
    ['Guest downtime', guestMs === undefined ? undefined : `${guestMs.toFixed(3)} ms`],
    [
      'Verification',
      verify.pages === 0 ? verify.status : `${verify.status}, ${verify.pages} pages`,
    ],
    ...convergenceRows(view),
    ...compressionRows(view),
    ...postcopyRows(view),
    ['Guest owner', view.owner],
    ['Error', view.error?.message ?? view.errorText],
  ];
}

function convergenceRows({ convergence }: MigrationView): [string, string | undefined][] {
  const { diagnosis } = convergence;
  const rows: [string, string][] = [
    ['Policy', policyText(convergence)],
    ['vCPUs throttled', throttledText(convergence)],
    ['Diagnosis', diagnosis === undefined ? '' : diagnosisText(diagnosis)],
  ];
  return rows.map(([label, text]) => [label, text === '' ? undefined : text]);
}

function postcopyRows({ status, postcopy }: MigrationView): [string, string | undefined][] {
  if (postcopy === undefined) return [];
  const rows: [string, string][] = [
    ['Migration status', status],
    ['Pages missing', String(postcopy.remainingPages)],
    ['Post-copy', followedText(postcopy)],
    ['Waits', blockedText(postcopy)],
    ['Wait times', latencyText(postcopy)],
    ['Brown-out', brownoutText(postcopy)],
    ['Lost link', linkText(postcopy)],
  ];
  return rows.map(([label, text]) => [label, text === '' ? undefined : text]);
}

/** As virsh prints sizes: three decimals and a binary unit. */
function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${value.toFixed(3)} ${units[index]}`;
}
