import type { HelloBody } from '../../protocol/index.ts';
import { agreedCapabilities } from '../greeting.ts';
import { journalSettings } from './journal-settings.ts';
import { JournalWriter, type JournalWriterOptions } from './journal-writer.ts';

/** Undefined when no journal is agreed on. Throws E_CONFIG_INVALID for impossible settings. */
export function openJournal(
  hello: HelloBody,
  options: Omit<JournalWriterOptions, 'settings'>,
): JournalWriter | undefined {
  if (!agreedCapabilities(hello).includes('x-postcopy-journal')) return undefined;
  return new JournalWriter({ ...options, settings: journalSettings(hello) });
}
