import { describe, expect, it } from 'vitest';
import { migrationUri } from '../../../src/control/qmp/migration-address.ts';

function fromChannel(addr: unknown, type: unknown = 'main'): string {
  return migrationUri('migrate', undefined, [{ 'channel-type': type, addr }]);
}

describe('migrationUri()', () => {
  it('returns the uri when one is given', () => {
    expect(migrationUri('migrate', 'tcp:127.0.0.1:4444', undefined)).toBe('tcp:127.0.0.1:4444');
    expect(migrationUri('migrate', 'file:/a b', undefined)).toBe('file:/a b');
  });

  it('returns the same when it comes as a channel', () => {
    const inet = { transport: 'socket', type: 'inet', host: '::1', port: '4444' };
    expect(fromChannel(inet)).toBe('tcp:[::1]:4444');
    expect(fromChannel({ transport: 'file', filename: '/a', offset: 0 })).toBe('file:/a');
    expect(fromChannel({ transport: 'file', filename: '/a' })).toBe('file:/a');
  });

  it.each([
    [undefined, undefined, "'migrate' needs either 'uri' or 'channels'"],
    ['tcp:h:1', [], "'uri' and 'channels' are mutually exclusive in 'migrate'"],
    [undefined, [], 'Channel list must have exactly one entry'],
    [undefined, [1], "Invalid parameter type for 'channels[0]', expected: object"],
    [undefined, [{}], "Parameter 'channels[0].channel-type' is missing"],
    ['unix:/a', undefined, 'A migration needs tcp:HOST:PORT or file:PATH'],
    ['exec:cat', undefined, 'Not an address'],
    ['tcp:h', undefined, 'the port is missing'],
  ])('refuses uri %j and channels %j', (uri, channels, expected) => {
    expect(() => migrationUri('migrate', uri, channels)).toThrowError(expected);
  });

  it.each([
    [{ transport: 'exec', args: [] }, "'channels[0].addr.transport' does not accept value 'exec'"],
    [
      { transport: 'socket', type: 'vsock' },
      "'channels[0].addr.type' does not accept value 'vsock'",
    ],
    [{ transport: 'socket', type: 'inet', host: 'h' }, "'channels[0].addr.port' is missing"],
    [{ transport: 'socket', type: 'unix', path: '/a' }, 'A migration needs'],
    [{ transport: 'file', filename: '/a', offset: 1 }, "'channels[0].addr.offset' must be 0"],
    [{ transport: 'file', filename: '/a', x: 1 }, "Parameter 'channels[0].addr.x' is unexpected"],
  ])('refuses the channel address %j', (addr, expected) => {
    expect(() => fromChannel(addr)).toThrowError(expected);
  });

  it('refuses channels of another type than main', () => {
    const inet = { transport: 'socket', type: 'inet', host: 'h', port: '1' };
    expect(() => fromChannel(inet, 'cpr')).toThrowError("does not accept value 'cpr'");
  });
});
