import pc from 'picocolors';
import { expect, test } from 'vitest';
import { readMigration } from '../../../src/cli/migration/migration-view.ts';
import { closingReport } from '../../../src/cli/report/closing-report.ts';
import { formatDuration, formatMs, formatPercent } from '../../../src/cli/report/format.ts';
import { jobInfoLines } from '../../../src/cli/report/job-info.ts';
import {
  activeReply,
  completedReply,
  passRecord,
  sternaFields,
} from '../../support/query-migrate-reply.ts';

const plain = pc.createColors(false);

test('closingReport() has times, downtime and its parts, data, kinds, proof and owner', () => {
  const report = closingReport(readMigration(completedReply()), plain);
  expect(report).toContain('Migration completed\n');
  expect(report).toContain('8.25 ms = pause 0.25 ms + last-pages 6.00 ms + handshake 2.00 ms');
  expect(report).toContain('6.10 ms ± 0.05 ms');
  expect(report).toContain('300.0 MiB, 1.17 x the RAM');
  expect(report).toContain('zero 16,384');
  expect(report).not.toContain('unchanged');
  expect(report).toContain('RAM identical: 65536 pages');
  expect(report).toContain('at the destination (epoch 2)');
  expect(report).toMatch(/paused +500 ms/);
});

test('closingReport() of a failure leaves out what there was not', () => {
  const report = closingReport(readMigration(activeReply({ status: 'failed' })), plain);
  expect(report).toContain('Migration failed');
  expect(report).not.toContain('Downtime');
  expect(report).not.toContain('Memory');
  expect(report).toContain('at the source');
});

test('closingReport() lists the first and last of many passes', () => {
  const passes = Array.from({ length: 40 }, (_, index) => passRecord(index + 1, false));
  const report = closingReport(
    readMigration(completedReply({ 'x-sterna': sternaFields({ passes }) })),
    plain,
  );
  expect(report).toContain('(28 more)');
  const rows = report.split('\n').filter((line) => /^\s+\d+ +500 ms/.test(line));
  expect(rows.map((row) => Number.parseInt(row, 10))).toEqual([
    1, 2, 3, 4, 5, 6, 35, 36, 37, 38, 39, 40,
  ]);
});

test('jobInfoLines() has the labels, widths and units of virsh domjobinfo', () => {
  expect(jobInfoLines(readMigration(completedReply())).slice(0, 10)).toEqual([
    'Job type:         Completed',
    'Operation:        Outgoing migration',
    'Time elapsed:     2000 ms',
    'Data processed:   300.000 MiB',
    'Data remaining:   0.000 B',
    'Data total:       256.000 MiB',
    'Memory processed: 300.000 MiB',
    'Memory remaining: 0.000 B',
    'Memory total:     256.000 MiB',
    'Memory bandwidth: 119.209 MiB/s',
  ]);
});

test('jobInfoLines() has the expected downtime before the end and the total after it', () => {
  const active = jobInfoLines(readMigration(activeReply())).join('\n');
  expect(active).toContain('Job type:         Unbounded');
  expect(active).toContain('Expected downtime: 40 ms');
  const completed = jobInfoLines(readMigration(completedReply())).join('\n');
  expect(completed).toContain('Total downtime:   8 ms');
  expect(completed).not.toContain('Expected downtime');
  expect(completed).toContain('Compression cache: 64.000 MiB');
});

test('formatMs(), formatDuration() and formatPercent() keep the digits that matter', () => {
  expect([0.1234, 12.34, 1234.5, 12_345].map(formatMs)).toEqual([
    '0.12 ms',
    '12.3 ms',
    '1,235 ms',
    '12.3 s',
  ]);
  expect([900, 61_000, 3_660_000].map(formatDuration)).toEqual(['1 s', '1 min 1 s', '1 h 1 min']);
  expect([-1, 0.5, 7].map(formatPercent)).toEqual(['0 %', '50 %', '100 %']);
});
