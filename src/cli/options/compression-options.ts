import { InvalidArgumentError, Option } from 'commander';
import { type CodecChoice, SternaError } from '../../base/index.ts';
import type { MigrationRequest } from '../migration/migration-request.ts';

/** What `--comp-methods` names: deltas against the cache, pages (and deltas) as LZ4. */
export type CompressionMethod = 'xbzrle' | 'lz4';
const METHODS: readonly CompressionMethod[] = ['xbzrle', 'lz4'];

/** The options of `sterna migrate` about what is sent of a page. */
export interface CompressionOptions {
  /** Empty: `none`. */
  readonly compMethods?: readonly CompressionMethod[];
  readonly compXbzrleCache?: number;
  readonly codec?: CodecChoice;
}

/** virsh's flag: a list with commas. */
export function compMethodsOption(): Option {
  const description = 'what pages are compressed with: none, or a list of xbzrle and lz4';
  return new Option('--comp-methods <methods>', description).argParser(parseMethods);
}

function parseMethods(text: string): readonly CompressionMethod[] {
  if (text === 'none') return [];
  const names = text.split(',');
  const unknown = names.find((name) => !METHODS.some((method) => method === name));
  if (unknown === 'none') throw new InvalidArgumentError('none stands alone.');
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `There is no method "${unknown}"; there are none, ${METHODS.join(', ')}, or both as ${METHODS.join(',')}.`,
    );
  }
  return METHODS.filter((method) => names.includes(method));
}

/** That part of a request. Throws E_CONFIG_INVALID. */
export function compressionRequest({
  compMethods,
  compXbzrleCache,
  codec,
}: CompressionOptions): Pick<MigrationRequest, 'compression' | 'xbzrleCacheBytes' | 'codec'> {
  if (codec === 'none' && compMethods?.includes('lz4')) {
    const text = '--comp-methods names lz4, and --codec none forbids it: leave one of both out';
    throw new SternaError('E_CONFIG_INVALID', text);
  }
  const compression =
    compMethods === undefined ? undefined : compMethods.includes('xbzrle') ? 'xbzrle' : 'none';
  return { compression, xbzrleCacheBytes: compXbzrleCache, codec: codec ?? codecOf(compMethods) };
}

/** Deltas become LZ4 where both are named. Undefined: as the agent has it. */
function codecOf(methods: readonly CompressionMethod[] | undefined): CodecChoice | undefined {
  if (methods?.length === 0) return 'none';
  if (!methods?.includes('lz4')) return undefined;
  return methods.includes('xbzrle') ? 'all' : 'lz4';
}
