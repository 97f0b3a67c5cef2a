import Table from 'cli-table3';
import { formatBytes } from '../../base/index.ts';
import type { Colours } from '../context.ts';
import { isInPostcopy, type MigrationView } from '../migration/migration-view.ts';
import { policyText, throttledText } from './convergence-text.ts';
import { formatCount, formatMs, formatRate } from './format.ts';
import { blockedText, brownoutText, followedText, linkText } from './postcopy-text.ts';

/** Passes listed at most; of more, the first and the last are the interesting ones. */
const PASSES_SHOWN = 12;

/** What is printed after a migration, whether it succeeded or not. */
export function closingReport(view: MigrationView, colours: Colours): string {
  const rows: [string, string][] = [
    ['Total time', totalText(view)],
    ['Downtime', downtimeText(view)],
    ['Guest-observed', guestText(view)],
    ['Policy', policyText(view.convergence)],
    ['vCPUs throttled', throttledText(view.convergence)],
    ...postcopyRows(view),
    ['Data', dataText(view)],
    ['Pages', kindsText(view)],
    ['Memory', memoryText(view, colours)],
    ['Guest', ownerText(view)],
  ];
  const lines = rows
    .filter(([, text]) => text !== '')
    .map(([label, text]) => `  ${colours.dim(label.padEnd(16))}${text}`);
  const passes = view.passes.length === 0 ? [] : ['', passTable(view), ''];
  return [headline(view, colours), ...lines, ...passes].join('\n');
}

function headline(view: MigrationView, colours: Colours): string {
  if (view.status === 'completed' && view.verify.status !== 'mismatch') {
    return colours.green(colours.bold('Migration completed'));
  }
  if (isInPostcopy(view))
    return colours.yellow(colours.bold('Migration without a link, in post-copy'));
  const text = view.status === 'completed' ? 'completed, but RAM differs' : view.status;
  return colours.red(colours.bold(`Migration ${text}`));
}

function totalText(view: MigrationView): string {
  const passes = view.passes.filter((pass) => !pass.stopped).length;
  const count = passes === 0 ? '' : `, ${passes} ${passes === 1 ? 'pass' : 'passes'}`;
  return `${formatMs(view.totalTimeMs)} (setup ${formatMs(view.setupTimeMs)}${count})`;
}

function downtimeText(view: MigrationView): string {
  if (view.downtimeMs === undefined) return '';
  const parts = [...view.downtimeParts].map(([name, ms]) => `${name} ${formatMs(ms)}`);
  return `${formatMs(view.downtimeMs)}${parts.length === 0 ? '' : ` = ${parts.join(' + ')}`}`;
}

function guestText(view: MigrationView): string {
  if (view.guestDowntimeUs === undefined) return '';
  const error = view.guestDowntimeErrorUs;
  const bound = error === undefined ? '' : ` ± ${formatMs(error / 1000)}`;
  return `${formatMs(view.guestDowntimeUs / 1000)}${bound}, the longest gap between two steps of any vCPU`;
}

function postcopyRows({ postcopy }: MigrationView): [string, string][] {
  if (postcopy === undefined) return [];
  return [
    ['Post-copy', followedText(postcopy)],
    ['Waits', blockedText(postcopy)],
    ['Brown-out', brownoutText(postcopy)],
    ['Lost link', linkText(postcopy)],
  ];
}

function dataText(view: MigrationView): string {
  const { transferredBytes, totalBytes } = view.ram;
  const rate = view.totalTimeMs === 0 ? 0 : (transferredBytes / view.totalTimeMs) * 1000;
  const ratio = totalBytes === 0 ? '' : `, ${(transferredBytes / totalBytes).toFixed(2)} x the RAM`;
  return `${formatBytes(transferredBytes)}${ratio}, ${formatRate(rate)}`;
}

function kindsText(view: MigrationView): string {
  return [...view.pageKinds]
    .filter(([, { pages }]) => pages > 0)
    .map(([kind, { pages, bytes }]) => `${kind} ${formatCount(pages)} (${formatBytes(bytes)})`)
    .join(', ');
}

/** The wording is relied on by scripts: `RAM identical: N pages`. */
function memoryText(view: MigrationView, colours: Colours): string {
  const { status, pages, mismatches, reason } = view.verify;
  if (status === 'identical') return colours.green(`RAM identical: ${pages} pages`);
  if (status === 'mismatch') {
    const first = mismatches.slice(0, 5).join(', ');
    return colours.red(
      `RAM differs: ${mismatches.length} or more of ${pages} pages, first ${first}`,
    );
  }
  if (view.status !== 'completed') return '';
  return `not compared${reason === undefined ? '' : `: ${reason}`}`;
}

function ownerText(view: MigrationView): string {
  if (view.owner === 'unknown') return 'owner not known';
  if (view.owner === 'none') return 'no side has it';
  return `at the ${view.owner} (epoch ${view.epoch})`;
}

function passTable(view: MigrationView): string {
  const table = new Table({
    head: ['pass', 'time', 'dirty', 'sent', 'data', 'dirtied', 'RAM/s'],
    colAligns: ['right', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN_TABLE,
  });
  const hidden = Math.max(0, view.passes.length - PASSES_SHOWN);
  const firstShown = Math.ceil((PASSES_SHOWN - 1) / 2);
  view.passes.forEach((pass, index) => {
    if (hidden > 0 && index === firstShown)
      table.push([`(${hidden} more)`, '', '', '', '', '', '']);
    if (hidden > 0 && index >= firstShown && index < firstShown + hidden) return;
    table.push([
      pass.stopped ? 'paused' : String(pass.pass),
      formatMs(pass.durationMs),
      formatCount(pass.dirtyPages),
      formatCount(pass.sentPages),
      formatBytes(pass.sentBytes),
      formatCount(pass.dirtiedPages),
      formatRate(pass.effectiveBytesPerSecond),
    ]);
  });
  return table.toString();
}

/** Columns parted by spaces only: pastes well into a mail. */
const PLAIN_TABLE = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: ' ', 'left-mid': '', mid: '', 'mid-mid': '' },
  ...{ right: '', 'right-mid': '', middle: ' ' },
};
