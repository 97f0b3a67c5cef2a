import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ERROR_TEXT_BYTES_MAX } from '../../../src/base/index.ts';
import {
  BODY_BYTES_MAX,
  CONTROL_DECODERS,
  DESTINATION_ACCEPTS,
  DESTINATION_SENDS,
  type DestinationState,
  MESSAGE_TYPES,
  type MessageName,
  OPTIONAL_BYTES_MAX,
  PAGE_KINDS,
} from '../../../src/protocol/index.ts';

/** The document is the authority: it must say what the code does, in numbers, limits and order. */
const DOCUMENT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

/** In the table these have columns of their own, or are told in prose. */
const EVERYWHERE: readonly string[] = ['PING', 'PONG', 'PROGRESS', 'ERROR', 'CANCEL'];
const FINAL: readonly string[] = ['ended', 'cancelled', 'failed'];

describe('docs/protocol.md', () => {
  test.each(Object.entries(MESSAGE_TYPES))('lists %s with its number and limit', (name, type) => {
    const limit = BODY_BYTES_MAX[name as MessageName].toLocaleString('en-US');
    expect(DOCUMENT).toMatch(new RegExp(`^\\| ${type} \\| ${name} \\| .*\\| ${limit} \\|$`, 'm'));
  });

  test.each(Object.keys(CONTROL_DECODERS))('has a section with the body of %s', (name) => {
    expect(DOCUMENT).toMatch(new RegExp(`^### .*\\b${name}\\b`, 'm'));
  });

  test.each(Object.entries(PAGE_KINDS))('lists page kind %s with its number', (name, kind) => {
    expect(DOCUMENT).toMatch(new RegExp(`^\\| ${kind} \\| ${name} \\|`, 'm'));
  });

  test.each(
    (Object.keys(DESTINATION_ACCEPTS) as DestinationState[]).filter(
      (state) => !FINAL.includes(state),
    ),
  )('says what may come in state %s', (state) => {
    expect(DOCUMENT.split('\n')).toContain(conversationRow(state));
  });

  test('shows the very bytes of the golden PING', () => {
    const golden = new URL('../../golden/protocol-v1/ping.hex', import.meta.url);
    const example = DOCUMENT.slice(DOCUMENT.indexOf('## Examples'));
    const shown = /```\n([0-9a-f\s]+)```/.exec(example)?.[1] ?? '';
    expect(shown.replaceAll(/\s/g, '')).toBe(readFileSync(golden, 'utf8').replaceAll('\n', ''));
  });

  test('names the limits that no table has', () => {
    expect(DOCUMENT).toContain(OPTIONAL_BYTES_MAX.toLocaleString('en-US'));
    expect(DOCUMENT).toContain(`${ERROR_TEXT_BYTES_MAX} bytes`);
  });
});

function conversationRow(state: DestinationState): string {
  const accepts = DESTINATION_ACCEPTS[state];
  const sends = DESTINATION_SENDS[state];
  const pings = accepts.PING === undefined ? 'no' : 'yes';
  const cancel = accepts.CANCEL === undefined ? 'no' : 'yes';
  const cells = [`\`${state}\``, steps(state, accepts), steps(state, sends), pings, cancel];
  return `| ${cells.join(' | ')} |`;
}

function steps(state: DestinationState, row: Partial<Record<MessageName, string>>): string {
  const texts = Object.entries(row)
    .filter(([message]) => !EVERYWHERE.includes(message))
    .map(([message, next]) => (next === state ? message : `${message} → \`${next}\``));
  return texts.join(', ') || '-';
}
