import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SternaError } from '../../../base/index.ts';
import { missingTool, type ToolRunner } from '../tool-run.ts';
import { debianSource, readHostSources } from './host-sources.ts';

/** Where packages come from, and what their lists must be signed with. */
export interface Archive {
  readonly mirror: string;
  /** A keyring file; undefined: the keys that the host's apt trusts, Debian's among them. */
  readonly keyring: string | undefined;
}

/** What the host's own apt knows and ours shall know too. */
export interface HostApt {
  /** Lines of configuration: proxies, and how patient to be. */
  readonly acquire: readonly string[];
  readonly netrc: string;
  readonly netrcParts: string;
  readonly root: string;
  readonly sourceList: string;
  readonly sourceParts: string;
  readonly trustedParts: string;
}

const TOOLS = ['apt-get', 'apt-cache', 'apt-config', 'dpkg-deb', 'xz'];

/** What a host's administrator sets so that mirrors can be reached; the rest is our own. */
const ACQUIRE_PASSED_ON = /^Acquire::(http|https|ftp|Retries|Check-Valid-Until|Check-Date)\b/;

/** Name of a directory or file of the host -> how `apt-config shell` is asked for it. */
const PLACES = {
  root: 'Dir/d',
  sourceList: 'Dir::Etc::sourcelist/f',
  sourceParts: 'Dir::Etc::sourceparts/d',
  trustedParts: 'Dir::Etc::trustedparts/d',
  netrc: 'Dir::Etc::netrc/f',
  netrcParts: 'Dir::Etc::netrcparts/d',
} as const;

/** Throws E_IMAGE_TOOL naming everything that is missing at once. */
export function requireTools(tools: ToolRunner): void {
  const missing = TOOLS.filter((name) => tools.find(name) === undefined);
  if (missing.length > 0) throw missingTool(...missing);
}

/** Asks the host's apt where its files are, instead of guessing. */
export async function askHostApt(tools: ToolRunner): Promise<HostApt> {
  const names = Object.entries(PLACES).flat();
  const shell = await tools.run('apt-config', { arguments: ['shell', ...names] });
  const dump = await tools.run('apt-config', { arguments: ['dump'] });
  const failed = [shell, dump].find(({ status }) => status !== 0);
  if (failed !== undefined) {
    throw new SternaError('E_IMAGE_TOOL', 'The configuration of apt cannot be read', {
      detail: { apt: failed.complaints.trim() },
    });
  }
  const place = (name: keyof typeof PLACES) =>
    new RegExp(`^${name}='([^']*)'`, 'm').exec(shell.output.toString('utf8'))?.[1] ?? '/dev/null';
  return {
    acquire: dump.output
      .toString('utf8')
      .split('\n')
      .filter((line) => ACQUIRE_PASSED_ON.test(line)),
    root: place('root'),
    sourceList: place('sourceList'),
    sourceParts: place('sourceParts'),
    trustedParts: place('trustedParts'),
    netrc: place('netrc'),
    netrcParts: place('netrcParts'),
  };
}

/** The mirror that was given, or else the host's own, and the keyring for it. */
export async function chooseArchive(host: HostApt, mirror: string | undefined): Promise<Archive> {
  const sources = await readHostSources(host.sourceList, host.sourceParts);
  const own = debianSource(sources);
  const chosen = mirror ?? own?.uri;
  if (chosen === undefined) {
    throw new SternaError(
      'E_IMAGE_MIRROR',
      'The package sources of this host name no Debian mirror',
      {
        detail: { read: [host.sourceList, host.sourceParts] },
      },
    );
  }
  const signedBy = chosen === own?.uri ? own.signedBy : undefined;
  return { mirror: chosen, keyring: signedBy ?? debianKeyring(host) };
}

function debianKeyring(host: HostApt): string | undefined {
  const file = ['pgp', 'gpg']
    .map((suffix) => join(host.root, `usr/share/keyrings/debian-archive-keyring.${suffix}`))
    .find(existsSync);
  if (file !== undefined) return file;
  const isTrusted =
    existsSync(host.trustedParts) &&
    readdirSync(host.trustedParts).some((name) => name.startsWith('debian-archive-'));
  if (isTrusted) return undefined;
  throw new SternaError('E_IMAGE_TOOL', 'This host lacks debian-archive-keyring', {
    detail: { why: 'the package lists of Debian are checked with its keys' },
  });
}
