import { describe, expect, test } from 'vitest';
import { errorCodeNumber, SternaError } from '../../../src/base/index.ts';
import type { MachineDescription } from '../../../src/guestmem/machine.ts';
import {
  decodeError,
  decodeHello,
  decodeMachineState,
  encodeError,
  encodeHello,
  encodeMachineState,
  errorBodyFrom,
  errorFromBody,
  type HelloBody,
  type HelloMachine,
} from '../../../src/protocol/index.ts';
import { HELLO } from './message-samples.ts';

describe('decodeHello()', () => {
  const GIB = 2 ** 30;
  test.each<[string, Partial<HelloMachine>, string]>([
    ['RAM is below 16 MiB', { ramBlocks: blocks(2 ** 23) }, 'ramBlocks'],
    ['RAM is above 16 GiB', { ramBlocks: blocks(...new Array(9).fill(2 * GIB)) }, 'ramBlocks'],
    ['there are 17 blocks', { ramBlocks: blocks(...new Array(17).fill(2 ** 20)) }, 'ramBlocks'],
    ['there is no block', { ramBlocks: [] }, 'ramBlocks'],
    ['a block is above 2 GiB', { ramBlocks: blocks(2 * GIB + 4096) }, 'bytes'],
    ['a block is no multiple of the page size', { ramBlocks: blocks(GIB + 1) }, 'bytes'],
    ['a block has negative length', { ramBlocks: blocks(-4096, GIB) }, 'bytes'],
    [
      'two blocks have one name',
      { ramBlocks: [...blocks(GIB), ...blocks(GIB)] },
      'two blocks of one name',
    ],
    ['a block name is too long', { ramBlocks: [{ name: 'x'.repeat(129), bytes: GIB }] }, 'name'],
    ['there is no vCPU', { vcpuCount: 0 }, 'vcpuCount'],
    ['there are 17 vCPUs', { vcpuCount: 17 }, 'vcpuCount'],
    ['the vCPU count is a fraction', { vcpuCount: 1.5 }, 'vcpuCount'],
    ['the name is too long', { name: 'é'.repeat(65) }, 'name'],
    ['the name has a control character', { name: 'a\u001b[2J' }, 'name'],
    ['the uuid is none', { uuid: '6ba7b810-9dad-41d1-80b4-00c04fd430cg' }, 'uuid'],
    ['the config is above 4 KiB', { config: { spec: 'x'.repeat(4097) } }, 'config'],
    ['the config holds infinity', { config: { rate: Number.POSITIVE_INFINITY } }, 'config'],
  ])('decodeHello() says malformed when %s', (_what, change, field) => {
    const result = decodeHello(encodeHello({ ...HELLO, machine: { ...HELLO.machine, ...change } }));
    if (result.kind === 'ok') throw new Error('Accepted');
    expect(result.error.code).toBe('E_PROTOCOL_BAD_BODY');
    expect(result.error.message).toContain(field);
  });

  test.each<[string, object]>([
    ['the page size is no power of two', { pageBytes: 5000 }],
    ['the role is unknown', { role: 'spare' }],
    ['the migration id is a path', { migrationId: '../../x' }],
    ['the epoch has no successor', { guest: { epoch: Number.MAX_SAFE_INTEGER } }],
    ['the epoch is missing', { guest: {} }],
    ['capabilities are too many', { capabilities: new Array(65).fill('a') }],
    ['a capability is a number', { capabilities: [1] }],
    ['a parameter is a list', { parameters: { a: [] } }],
  ])('decodeHello() says malformed when %s', (_what, change) => {
    // The encoder takes what the types allow; a stranger's does not.
    const body = { ...HELLO, ...change } as HelloBody;
    expect(decodeHello(encodeHello(body)).kind).toBe('malformed');
  });

  test('decodeHello() accepts 16 GiB in eight blocks, and the smallest guest', () => {
    for (const ramBlocks of [blocks(...new Array(8).fill(2 * GIB)), blocks(2 ** 24)]) {
      const machine = { ...HELLO.machine, ramBlocks };
      expect(decodeHello(encodeHello({ ...HELLO, machine })).kind).toBe('ok');
    }
  });

  test('HelloMachine is a MachineDescription', () => {
    const there: MachineDescription = HELLO.machine;
    const back: HelloMachine = there;
    expect(back).toBe(HELLO.machine);
  });
});

describe('ERROR', () => {
  test('errorFromBody() returns the error that errorBodyFrom() was given', () => {
    const error = new SternaError('E_PAGE_HASH', 'Page does not match its hash', {
      detail: { pfn: 17, block: 'ram0' },
      guestOwner: 'source',
      phase: 'precopy',
      side: 'destination',
    });
    expect(overTheWire(error)).toMatchObject({
      code: 'E_PAGE_HASH',
      message: 'Page does not match its hash',
      detail: { pfn: 17, block: 'ram0', remote: true },
      guestOwner: 'source',
      phase: 'precopy',
      side: 'destination',
    });
  });

  test('errorFromBody() keeps number and text when the code is unknown', () => {
    const error = errorFromBody({ code: 60_000, text: 'From the future' }, 'source');
    expect(error).toMatchObject({
      code: 'E_PROTOCOL_UNEXPECTED_MESSAGE',
      message: 'From the future',
      detail: { remoteCode: 60_000 },
      guestOwner: undefined,
    });
  });

  test('errorBodyFrom() fits the wire when texts are long or cannot be printed', () => {
    const detail: Record<string, unknown> = { list: [1], nothing: null, infinite: 1 / 0 };
    for (let index = 0; index < 40; index += 1) detail[`key${index}`] = 'é\n'.repeat(1000);
    const error = new SternaError('E_FILE', `Bad\u0007${'ü'.repeat(1000)}`, { detail });
    const body = errorBodyFrom(error);
    expect(Buffer.byteLength(body.text)).toBeLessThanOrEqual(512);
    expect(body.text.startsWith('Bad üü')).toBe(true);
    const decoded = decodeError(encodeError(body));
    expect(decoded).toEqual({ kind: 'ok', body });
  });

  test('errorBodyFrom() fits the wire when every key and value is as long as it may be', () => {
    const detail: Record<string, unknown> = {};
    for (let index = 0; index < 16; index += 1) detail[`${index}`.padEnd(64, 'k')] = 'v'.repeat(96);
    const error = new SternaError('E_FILE', 'm'.repeat(512), { detail, phase: 'p'.repeat(64) });
    expect(decodeError(encodeError(errorBodyFrom(error))).kind).toBe('ok');
  });

  test('errorBodyFrom() sends the number of the code', () => {
    const body = errorBodyFrom(new SternaError('E_BUSY', 'Busy'));
    expect(body).toEqual({ code: errorCodeNumber('E_BUSY'), text: 'Busy' });
  });

  function overTheWire(error: SternaError): SternaError {
    const decoded = decodeError(encodeError(errorBodyFrom(error)));
    if (decoded.kind === 'malformed') throw decoded.error;
    return errorFromBody(decoded.body, 'destination');
  }
});

describe('MACHINE_STATE', () => {
  test('encodeMachineState() throws E_MACHINE_STATE when the state is above 1 MiB', () => {
    const sections = [{ name: 'disk', version: 1, bytes: new Uint8Array(2 ** 20) }];
    expect(() => encodeMachineState({ sections })).toThrow(
      expect.objectContaining({ code: 'E_MACHINE_STATE' }),
    );
  });

  test('decodeMachineState() returns bytes of its own when the buffer is used again', () => {
    const sections = [{ name: 'vcpu0', version: 1, bytes: Uint8Array.of(1, 2, 3) }];
    const buffer = encodeMachineState({ sections });
    const result = decodeMachineState(buffer);
    buffer.fill(0);
    expect(result).toEqual({ kind: 'ok', body: { sections } });
  });
});

function blocks(...sizes: number[]): HelloMachine['ramBlocks'] {
  return sizes.map((bytes, index) => ({ name: `ram${index}`, bytes }));
}
