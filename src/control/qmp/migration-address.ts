import { SternaError } from '../../base/index.ts';
import { type Address, formatAddress, parseAddress } from '../../channel/index.ts';
import { checkArguments, isObject } from './qmp-command.ts';

type Values = Readonly<Record<string, unknown>>;

/**
 * The URI of `migrate` and `migrate-incoming`, given as `uri` or, since QEMU 8.2, as one main
 * channel.
 */
export function migrationUri(
  command: string,
  uri: string | undefined,
  channels: readonly unknown[] | undefined,
): string {
  if (uri !== undefined && channels !== undefined) {
    throw invalid(`'uri' and 'channels' are mutually exclusive in '${command}'`);
  }
  if (uri !== undefined) return formatAddress(usable(parseAddress(uri)));
  if (channels === undefined) throw invalid(`'${command}' needs either 'uri' or 'channels'`);
  if (channels.length !== 1) throw invalid('Channel list must have exactly one entry');
  return formatAddress(usable(channelAddress(channels[0])));
}

function usable(address: Address): Address {
  if (address.kind === 'unix') throw invalid('A migration needs tcp:HOST:PORT or file:PATH');
  return address;
}

function channelAddress(channel: unknown): Address {
  const path = 'channels[0].';
  if (!isObject(channel))
    throw invalid("Invalid parameter type for 'channels[0]', expected: object");
  checkArguments({ 'channel-type': { type: 'string' }, addr: { type: 'object' } }, channel, path);
  if (channel['channel-type'] !== 'main') {
    throw notAccepted(`${path}channel-type`, channel['channel-type']);
  }
  // checkArguments() has looked at its type.
  const { transport, ...rest } = channel.addr as Values;
  if (transport === 'socket') return socketAddress(rest, `${path}addr.`);
  if (transport === 'file') return fileAddress(rest, `${path}addr.`);
  throw notAccepted(`${path}addr.transport`, transport);
}

function socketAddress({ type, ...rest }: Values, path: string): Address {
  if (type === 'unix') {
    checkArguments({ path: { type: 'string' } }, rest, path);
    return parseAddress(`unix:${String(rest.path)}`);
  }
  if (type !== 'inet') throw notAccepted(`${path}type`, type);
  checkArguments({ host: { type: 'string' }, port: { type: 'string' } }, rest, path);
  const host = String(rest.host);
  return parseAddress(`tcp:${host.includes(':') ? `[${host}]` : host}:${String(rest.port)}`);
}

function fileAddress(rest: Values, path: string): Address {
  const schema = { filename: { type: 'string' }, offset: { type: 'integer' } } as const;
  // QEMU's schema asks for the offset; here the stream always begins at the beginning.
  checkArguments(schema, { offset: 0, ...rest }, path);
  if (rest.offset !== undefined && rest.offset !== 0) throw invalid(`'${path}offset' must be 0`);
  return parseAddress(`file:${String(rest.filename)}`);
}

function notAccepted(name: string, value: unknown): SternaError {
  return invalid(`Parameter '${name}' does not accept value '${String(value)}'`);
}

function invalid(message: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message);
}
