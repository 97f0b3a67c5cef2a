import { type MigrationCapabilities, type MigrationParameters, PAGE_BYTES } from '../base/index.ts';
import { Codec } from './codec/codec.ts';
import type { OutgoingContext } from './outgoing-context.ts';
import type { OutgoingOptions } from './outgoing-contract.ts';
import { openLink } from './outgoing-link.ts';
import { OutgoingRecord } from './outgoing-record.ts';
import { missingNeeds } from './policy/policy-table.ts';
import { openJournal } from './postcopy/journal/open-journal.ts';

/** What the migration itself knows, and its phases ask. */
export type MigrationHooks = Pick<OutgoingContext, 'wantsPostcopy' | 'publish'>;

/**
 * What the phases of a migration that begins now share. The parameters are a copy: whoever changes
 * them changes those of the context.
 */
export function openContext(options: OutgoingOptions, hooks: MigrationHooks): OutgoingContext {
  const { machine, channel, clock, ledger, migrationId } = options;
  const { uuid } = machine.description;
  const parameters: MigrationParameters = { ...options.parameters };
  const capabilities = impliedCapabilities(parameters, options.capabilities);
  const codec = new Codec(clock, parameters.codec, options.codecHelpers);
  const record = new OutgoingRecord({
    migrationId,
    mode: parameters.mode,
    epoch: ledger.read(uuid)?.epoch ?? 1,
    totalBytes: machine.memory.pageCount * PAGE_BYTES,
    startMs: clock.nowMs(),
  });
  const link = openLink(channel, { clock, machine, parameters, codec });
  record.codec = codec;
  record.multifd = link.pageChannels;
  return {
    ...link,
    ...hooks,
    codec,
    machine,
    clock,
    ledger,
    log: options.log.child({ uuid, migrationId }),
    migrationId,
    peerName: options.peer,
    secret: options.secret,
    record,
    parameters,
    capabilities,
    journal: openJournal({ ...options, capabilities }),
    reached: options.reached ?? (() => {}),
  };
}

/** With what the mode and the policy are nothing without, and nothing that has no use there. */
function impliedCapabilities(
  { mode, policy }: MigrationParameters,
  asked: MigrationCapabilities,
): MigrationCapabilities {
  const needs = missingNeeds(policy, asked);
  const postcopyRam = mode === 'postcopy' || mode === 'hybrid' || asked['postcopy-ram'];
  return {
    ...asked,
    ...Object.fromEntries(needs.map((name) => [name, true])),
    'postcopy-ram': postcopyRam,
    'postcopy-preempt': postcopyRam && asked['postcopy-preempt'],
    'x-postcopy-journal': postcopyRam && asked['x-postcopy-journal'],
  };
}
