import { SternaError } from '../../../../base/index.ts';
import { splitAtSingleCommas } from '../drive/option-words.ts';

/** Where the guest's serial line ends, as the command line has it. */
export type SerialSpec =
  | { readonly kind: 'stdio' | 'null' }
  | { readonly kind: 'file'; readonly path: string }
  | SerialSocket;

export type SerialSocket = SerialPlace & {
  /** This side listens; without it, somebody else does. */
  readonly server?: {
    /** The guest does not start before the first client has come. */
    readonly waits: boolean;
  };
};

type SerialPlace =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const EXPECTED =
  'stdio, unix:PATH[,server=on|off][,wait=on|off], tcp:HOST:PORT[,server=on|off][,wait=on|off], file:PATH or null';
const PORT_MAX = 65535;

/**
 * QEMU's words, see EXPECTED; as there, a comma in the path of a socket is written twice, and who
 * listens waits unless it is told not to. Throws E_CONFIG_INVALID.
 */
export function parseSerialSpec(text: string): SerialSpec {
  if (text === 'stdio' || text === 'null') return { kind: text };
  const [, kind = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  if (kind === 'file') return { kind, path: checkedPath(text, rest) };
  if (kind !== 'unix' && kind !== 'tcp') {
    throw serialError(text, `No serial line ends at ${JSON.stringify(text)}`);
  }
  const [place = '', ...words] = splitAtSingleCommas(rest);
  const server = parseServer(text, words);
  const end =
    kind === 'tcp' ? parseTcp(text, place) : ({ kind, path: nonEmpty(text, place) } as const);
  return server === undefined ? end : { ...end, server };
}

function parseServer(text: string, words: readonly string[]): SerialSocket['server'] {
  const switches = new Map<string, string>();
  for (const word of words) {
    const [, key = '', value = ''] = /^(server|wait)=(on|off)$/.exec(word) ?? [];
    if (key === '') throw serialError(text, `A serial line has no ${JSON.stringify(word)}`);
    if (switches.has(key)) throw serialError(text, `A serial line has ${key} twice`);
    switches.set(key, value);
  }
  if (switches.get('server') === 'on') return { waits: switches.get('wait') !== 'off' };
  // As in QEMU: who connects has nobody to wait for.
  if (switches.has('wait')) throw serialError(text, 'A serial line has wait without server=on');
  return undefined;
}

function checkedPath(text: string, path: string): string {
  // QEMU's options of a socket would otherwise become part of its name.
  if (/,(server|wait|reconnect|nowait)\b/.test(path)) {
    throw serialError(text, 'A serial line to a file has no options');
  }
  return nonEmpty(text, path);
}

function nonEmpty(text: string, path: string): string {
  if (path === '') throw serialError(text, 'A serial line has no path');
  return path;
}

function parseTcp(text: string, place: string): SerialPlace {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(place) ?? [];
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
