import { Fields } from './fields.ts';

/** What is sent of a page, and what that saves, as `query-migrate` tells it. */
export interface CompressionView {
  /** Undefined: no XBZRLE, or an older agent. */
  readonly cache: CacheView | undefined;
  readonly ghosts: readonly GhostView[];
  readonly codec: CodecView | undefined;
}

export interface CacheView {
  readonly ways: number;
  readonly conflictPages: number;
  readonly primedPages: number;
  readonly savedBytes: number;
}

/** What a cache of another size would have done. */
export interface GhostView {
  readonly cacheBytes: number;
  /** 0 to 1. */
  readonly hitRate: number;
}

export interface CodecView {
  readonly choice: string;
  /** The destination reads LZ4. */
  readonly isAgreed: boolean;
  readonly pages: boolean;
  readonly deltas: boolean;
  readonly savedBytes: number;
}

/** `sterna`: the object of that name. */
export function readCompression(sterna: Fields): CompressionView {
  return {
    cache: sterna.has('xbzrle') ? readCache(sterna.object('xbzrle')) : undefined,
    ghosts: sterna.list('xbzrle-ghost').map(readGhost),
    codec: readCodec(sterna.object('codec')),
  };
}

function readCache(fields: Fields): CacheView {
  return {
    ways: fields.count('ways'),
    conflictPages: fields.count('conflict'),
    primedPages: fields.count('primed'),
    savedBytes: fields.count('saved-bytes'),
  };
}

function readGhost(value: unknown): GhostView {
  const fields = new Fields(value);
  return { cacheBytes: fields.count('cache-size'), hitRate: fields.count('hit-rate') };
}

function readCodec(fields: Fields): CodecView | undefined {
  const choice = fields.text('choice');
  if (choice === undefined) return undefined;
  return {
    choice,
    isAgreed: fields.flag('agreed'),
    pages: fields.flag('pages'),
    deltas: fields.flag('deltas'),
    savedBytes: fields.count('saved-bytes'),
  };
}
