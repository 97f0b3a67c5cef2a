import { isAbsolute, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import {
  NAME_LENGTH_MAX,
  PAGE_BYTES,
  POLICY_NAMES,
  parseBytes,
  RAM_BYTES_MAX,
  RAM_BYTES_MIN,
  SternaError,
  VCPU_COUNT_MAX,
} from '../base/index.ts';

/** Parsers of option values: text -> value, or a message that names what is expected. */

export function parseSize(text: string): number {
  try {
    return parseBytes(text);
  } catch (error) {
    if (error instanceof SternaError)
      throw new InvalidArgumentError('Expected a size such as 64M or 1.5G.');
    throw error;
  }
}

export function parseRam(text: string): number {
  const bytes = parseSize(text);
  if (bytes < RAM_BYTES_MIN || bytes > RAM_BYTES_MAX) {
    throw new InvalidArgumentError('Expected a size from 16M to 16G.');
  }
  if (bytes % PAGE_BYTES !== 0)
    throw new InvalidArgumentError('Expected a multiple of 4096 bytes.');
  return bytes;
}

/** A power of two that holds at least one page, as QEMU asks of the XBZRLE cache. */
export function parseCacheSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes < PAGE_BYTES || 2 ** Math.round(Math.log2(bytes)) !== bytes) {
    throw new InvalidArgumentError('Expected a power of two from 4K, such as 64M.');
  }
  return bytes;
}

export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected an integer from ${min} to ${max}.`);
    }
    return value;
  };
}

export function parseNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
    }
    return value;
  };
}

export const parseVcpuCount = parseInteger(1, VCPU_COUNT_MAX);
export const parseSeed = parseInteger(0, 2 ** 32 - 1);

/** A name becomes part of a path, so that it has no slash and does not begin with a dot. */
export function parseName(text: string): string {
  if (text.length > NAME_LENGTH_MAX || !/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) {
    throw new InvalidArgumentError(
      `Expected at most ${NAME_LENGTH_MAX} letters, digits, dots, dashes and underscores.`,
    );
  }
  return text;
}

export function parseUuid(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidArgumentError('Expected a uuid such as 6f2f2c50-6ad4-4a0e-9d4e-8f1f5a1c2b3d.');
  }
  return text.toLowerCase();
}

/** The agent has a working directory of its own: paths are made absolute here. */
export function parsePath(text: string): string {
  if (text === '') throw new InvalidArgumentError('Expected a path.');
  return resolve(text);
}

/** A policy by its name, or the path of a user's own. */
export function parsePolicy(text: string): string {
  return POLICY_NAMES.includes(text) ? text : parsePath(text);
}

/** A control socket. */
export function parseQmpAddress(text: string): string {
  return checkAddress(text, ['unix', 'tcp']);
}

/** Where clients of a guest connect. */
export function parseServiceAddress(text: string): string {
  return checkAddress(text, ['tcp']);
}

/** Where a destination listens: a link leads there. */
export function parsePortUri(text: string): string {
  return checkAddress(text, ['tcp']);
}

/** Where a migration goes to or comes from. */
export function parseMigrationUri(text: string): string {
  return checkAddress(text, ['tcp', 'file']);
}

/** For options that may be given more than once. */
export function collect(
  parse: (text: string) => string,
): (text: string, before?: string[]) => string[] {
  return (text, before = []) => [...before, parse(text)];
}

function checkAddress(text: string, schemes: readonly string[]): string {
  const [, scheme, rest] = /^([a-z]+):(.+)$/s.exec(text) ?? [];
  const expected = schemes.map((name) => (name === 'tcp' ? 'tcp:HOST:PORT' : `${name}:PATH`));
  if (scheme === undefined || rest === undefined || !schemes.includes(scheme)) {
    throw new InvalidArgumentError(`Expected ${expected.join(' or ')}.`);
  }
  if (scheme !== 'tcp') return `${scheme}:${isAbsolute(rest) ? rest : resolve(rest)}`;
  const port = Number(/^.+:(\d{1,5})$/.exec(rest)?.[1] ?? Number.NaN);
  if (!(port <= 65_535))
    throw new InvalidArgumentError('Expected tcp:HOST:PORT, as tcp:127.0.0.1:4444.');
  return text;
}
