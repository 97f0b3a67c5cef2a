import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One `deb` entry of the host's package sources, whichever way it was written. */
export interface PackageSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Path of the keyring that it is bound to. A key written out in the entry is not a path. */
  readonly signedBy: string | undefined;
}

/** Debian's own names of suites: another archive's suites have something before or after them. */
const DEBIAN_SUITE =
  /^(old){0,2}stable$|^(testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke)$/;

/** The sources of the host, from the file and the directory that its apt names. */
export async function readHostSources(
  listFile: string,
  partsDirectory: string,
): Promise<PackageSource[]> {
  const parts = await readdir(partsDirectory).catch(() => []);
  const paths = [listFile, ...parts.sort().map((name) => join(partsDirectory, name))];
  const found: PackageSource[] = [];
  for (const path of paths) {
    if (!/\.(list|sources)$/.test(path)) continue;
    // A file that this user may not read names no mirror for this user.
    const text = await readFile(path, 'utf8').catch(() => '');
    found.push(...(path.endsWith('.list') ? parseOneLine(text) : parseDeb822(text)));
  }
  return found;
}

/** `deb [signed-by=PATH] URI SUITE COMPONENT...`, one a line. Other lines are not ours to judge. */
export function parseOneLine(text: string): PackageSource[] {
  return text.split('\n').flatMap((line) => {
    const content = line.replace(/#.*/, '').trim();
    const match = /^deb\s+(?:\[([^\]]*)\]\s*)?([a-z][a-z0-9+]*:\S+)\s+(\S+)((?:\s+\S+)*)$/.exec(
      content,
    );
    // The label of a cdrom has spaces and brackets, and a disc is no mirror.
    if (match === null || content.includes('cdrom:')) return [];
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
    return [{ uri, suite, components: words(components), signedBy: keyringPath(signedBy) }];
  });
}

/** Stanzas of fields (deb822): every URI with every suite. */
export function parseDeb822(text: string): PackageSource[] {
  const stanzas = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .split(/\n\s*\n/);
  return stanzas.flatMap((stanza) => {
    const fields = parseFields(stanza);
    if (!words(fields.get('types')).includes('deb')) return [];
    if (/^(no|false|without|off|disable|0)$/i.test(fields.get('enabled') ?? '')) return [];
    const components = words(fields.get('components'));
    const signedBy = keyringPath(fields.get('signed-by'));
    return words(fields.get('uris')).flatMap((uri) =>
      words(fields.get('suites')).map((suite) => ({ uri, suite, components, signedBy })),
    );
  });
}

/**
 * The source that stands for Debian's main archive, whose mirror has riscv64 too. Other archives
 * may have a suite of the same name: what is bound to Debian's keyring, or ends as mirrors do,
 * comes first.
 */
export function debianSource(sources: readonly PackageSource[]): PackageSource | undefined {
  const likelihood = ({ uri, signedBy }: PackageSource) =>
    (signedBy?.includes('debian-archive') ? 2 : 0) + (/\/debian\/?$/.test(uri) ? 1 : 0);
  return sources
    .filter(({ suite, components }) => DEBIAN_SUITE.test(suite) && components.includes('main'))
    .sort((a, b) => likelihood(b) - likelihood(a))[0];
}

/** Field names have no case; a line that begins with a blank continues the field before it. */
function parseFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name = '';
  for (const line of stanza.split('\n')) {
    const match = /^([A-Za-z][\w-]*):(.*)$/.exec(line);
    if (match !== null) {
      name = (match[1] ?? '').toLowerCase();
      fields.set(name, (match[2] ?? '').trim());
    } else if (name !== '' && /^\s+\S/.test(line)) {
      fields.set(name, `${fields.get(name)} ${line.trim()}`.trim());
    }
  }
  return fields;
}

function keyringPath(signedBy: string | undefined): string | undefined {
  return words(signedBy).find((word) => word.startsWith('/'));
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter((word) => word !== '');
}
