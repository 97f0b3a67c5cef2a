import { SternaError } from '../../../../base/index.ts';

/** Where the guest's serial line ends, as the command line has it. */
export type SerialSpec =
  | { readonly kind: 'stdio' | 'null' }
  | { readonly kind: 'unix' | 'file'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const EXPECTED = 'stdio, unix:PATH, tcp:HOST:PORT, file:PATH or null';
const PORT_MAX = 65535;

/** QEMU's words, see EXPECTED. Throws E_CONFIG_INVALID. */
export function parseSerialSpec(text: string): SerialSpec {
  if (text === 'stdio' || text === 'null') return { kind: text };
  const [, kind = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  if (kind === 'unix' || kind === 'file') return { kind, path: checkedPath(text, rest) };
  if (kind === 'tcp') return parseTcp(text, rest);
  throw serialError(text, `No serial line ends at ${JSON.stringify(text)}`);
}

function checkedPath(text: string, path: string): string {
  if (path === '') throw serialError(text, 'A serial line has no path');
  // QEMU's options of a socket would otherwise become part of its name.
  if (/,(server|wait|reconnect|nowait)\b/.test(path)) {
    throw serialError(text, 'A serial line has no options behind its path');
  }
  return path;
}

function parseTcp(text: string, rest: string): SerialSpec {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(rest) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  if (host === '') throw serialError(text, 'A serial line has no host and port');
  if (port < 1 || port > PORT_MAX) {
    throw serialError(text, `Port ${digits} of a serial line does not exist`);
  }
  return { kind: 'tcp', host, port };
}

function serialError(text: string, message: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, {
    detail: { serial: text, expected: EXPECTED },
  });
}
