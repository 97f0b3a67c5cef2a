import { SternaError } from '../../../base/index.ts';

/** A package that apt chose, as its signed lists describe it. */
export interface PlannedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly fileName: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Reads what `apt-get --print-uris` prints: `'URI' FILE BYTES SHA256:HEX` a line, among lines for
 * people. Sorted by name, so that the order of apt's solver does not reach the image.
 */
export function parsePlan(text: string): PlannedPackage[] {
  const planned = text.split('\n').flatMap((line) => {
    const match = /^'[^']*' (\S+\.deb) (\d+) (\S+)$/.exec(line.trim());
    if (match === null) return [];
    const [, fileName = '', bytes = '', hash = ''] = match;
    return [plannedPackage(fileName, Number(bytes), hash)];
  });
  return planned.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The name of apt's file is NAME_VERSION_ARCHITECTURE.deb; the colon of an epoch is escaped. */
function plannedPackage(fileName: string, bytes: number, hash: string): PlannedPackage {
  const match = /^([a-z0-9][a-z0-9.+-]*)_([^_/]+)_([a-z0-9-]+)\.deb$/.exec(fileName);
  const sha256 = /^SHA256:([0-9a-f]{64})$/.exec(hash)?.[1];
  if (match === null || sha256 === undefined) {
    throw new SternaError('E_IMAGE_CONTENT', 'apt chose a package that cannot be checked', {
      detail: { file: fileName, hash },
    });
  }
  const [, name = '', version = '', architecture = ''] = match;
  return {
    ...{ name, version: version.replaceAll('%3a', ':'), architecture },
    ...{ fileName, bytes, sha256 },
  };
}

/** What a meta package stands for: the first of its `Depends` that begins with the prefix. */
export function dependencyOf(description: string, prefix: string): string | undefined {
  const depends = /^Depends: (.*)$/m.exec(description)?.[1] ?? '';
  return depends
    .split(/[,|]/)
    .map((text) => text.trim().split(/[\s(:]/)[0] ?? '')
    .find((name) => name.startsWith(prefix));
}
