import { Packr } from 'msgpackr';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeGoodbye, decodeHelloAck } from '../../../src/protocol/index.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const KEY = [0xa1, 0x78];

afterEach(() => {
  // Whatever a body says, plain objects stay plain.
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

describe('hostile MessagePack', () => {
  test.each([
    ['is empty', []],
    ['is no map', [0x01]],
    ['is a list', [0x90]],
    ['is binary', [0xc4, 1, 0]],
    ['has bytes after the map', [0x80, 0x80]],
    ['announces a map of 4 Gi entries', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['announces a list of 4 Gi items', [0x81, ...KEY, 0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['announces 4 GiB of text', [0x81, ...KEY, 0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['announces 4 GiB of binary', [0x81, ...KEY, 0xc6, 0xff, 0xff, 0xff, 0xff]],
    ['ends inside a length', [0x81, ...KEY, 0xdb, 0xff]],
    ['ends inside a number', [0x81, ...KEY, 0xcb, 0, 0]],
    ['uses the byte that MessagePack never uses', [0x81, ...KEY, 0xc1]],
    ['defines a record', [0x81, ...KEY, 0xd4, 0x72, 0x40, 0x91, ...KEY, 0x01]],
    ['makes a regular expression', [0x81, ...KEY, 0xd4, 0x78, 0, 0x92, 0xa1, 0x61, 0xa0]],
    ['makes an error', [0x81, ...KEY, 0xd4, 0x65, 0, 0x93, 0xa1, 0x61, 0xa0, 0xc0]],
    ['has a pointer to itself', [0x81, ...KEY, 0xd6, 0x70, 0, 0, 0, 1]],
    ['has a date', [0x81, ...KEY, 0xd6, 0xff, 0, 0, 0, 1]],
    ['has a key that is a number', [0x81, 0x01, 0x01]],
    ['has a key that is a list', [0x81, 0x90, 0x01]],
    ['has the key __proto__', protoBody()],
  ])('decodeGoodbye() says malformed when the body %s', (_what, bytes) => {
    expect(decodeGoodbye(Uint8Array.from(bytes))).toMatchObject({
      kind: 'malformed',
      error: { code: 'E_PROTOCOL_BAD_BODY' },
    });
  });

  test('decodeGoodbye() says malformed when lists are nested a hundred deep', () => {
    const bytes = Uint8Array.from([0x81, ...KEY, ...new Array(100).fill(0x91), 0xc0]);
    expect(decodeGoodbye(bytes).kind).toBe('malformed');
  });

  test('decodeGoodbye() says malformed when there are more values than any message has', () => {
    const bytes = packr.pack({ x: new Array(5000).fill(0) });
    expect(decodeGoodbye(bytes).kind).toBe('malformed');
    expect(decodeGoodbye(packr.pack({ x: new Array(4000).fill(0) })).kind).toBe('ok');
  });

  test('decodeHelloAck() returns a record without prototype when keys are those of Object', () => {
    const parameters = { constructor: 1, toString: 'x', hasOwnProperty: true };
    const bytes = packr.pack({ software: 's', capabilities: [], parameters, receivedPages: 0 });
    const result = decodeHelloAck(bytes);
    if (result.kind !== 'ok') throw result.error;
    expect(Object.getPrototypeOf(result.body.parameters)).toBeNull();
    expect({ ...result.body.parameters }).toEqual(parameters);
    expect(result.body.parameters.valueOf).toBeUndefined();
  });

  test('decodeHelloAck() reads whole numbers in any width when another packer chose it', () => {
    const head = packr.pack({ software: 's', capabilities: [], parameters: {} });
    const key = packr.pack('receivedPages');
    const integers = [
      [0x05],
      [0xcc, 5],
      [0xcd, 0, 5],
      [0xce, 0, 0, 0, 5],
      [0xcf, 0, 0, 0, 0, 0, 0, 0, 5],
      [0xd3, 0, 0, 0, 0, 0, 0, 0, 5],
      [0xcb, 0x40, 0x14, 0, 0, 0, 0, 0, 0],
    ];
    for (const integer of integers) {
      const bytes = Uint8Array.from([0x84, ...head.subarray(1), ...key, ...integer]);
      expect(decodeHelloAck(bytes)).toMatchObject({ kind: 'ok', body: { receivedPages: 5 } });
    }
  });
});

/** `{"__proto__": {"polluted": 1}}` */
function protoBody(): number[] {
  return [0x81, ...packr.pack('__proto__'), ...packr.pack({ polluted: 1 })];
}
