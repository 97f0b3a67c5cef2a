import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SternaError } from '../../../base/index.ts';
import { makeDirectory } from '../make-directory.ts';
import type { ToolResult, ToolRunner } from '../tool-run.ts';
import { dependencyOf, type PlannedPackage, parsePlan } from './apt-plan.ts';
import { accessCache } from './cache-access.ts';
import type { Archive, HostApt } from './debian-host.ts';

const ARCHITECTURE = 'riscv64';
const KERNEL_META_PACKAGE = 'linux-image-riscv64';
const SOLVER_LIMIT_MS = 300_000;
/** Names the archive whose lists are here; there is none before they are. */
const SOURCES = 'sources.list';

/**
 * The host's apt with a configuration and directories of its own: it takes riscv64 for its
 * architecture and nothing for installed, so that every dependency is chosen, and it needs no root.
 * Signatures of the lists are checked as ever, and so the hashes that plans are made of.
 */
export class AptClient {
  private readonly tools: ToolRunner;
  private readonly host: HostApt;
  /** Lists and configuration of one suite. */
  private readonly directory: string;
  private readonly suite: string;

  constructor(tools: ToolRunner, host: HostApt, cacheDirectory: string, suite: string) {
    this.tools = tools;
    this.host = host;
    this.directory = join(cacheDirectory, suite);
    this.suite = suite;
  }

  /** Fetches the lists of an archive, which the plans are then made from. */
  async update(archive: Archive): Promise<void> {
    await this.configure();
    const signedBy = archive.keyring === undefined ? '' : ` [signed-by=${archive.keyring}]`;
    const source = `deb${signedBy} ${archive.mirror} ${this.suite} main\n`;
    // It takes the place of the old one once its lists are here: until then those remain of use.
    const next = this.path('sources.next.list');
    await accessCache(this.directory, () => writeFile(next, source));
    const result = await this.apt('apt-get', [
      // A list that cannot be fetched is only a warning by default, and an old one would be used.
      ...['-q', '-o', 'APT::Update::Error-Mode=any', '-o', `Dir::Etc::sourcelist=${next}`],
      'update',
    ]);
    if (result.status !== 0) throw updateFailure(result, this.suite);
    await accessCache(this.directory, () => rename(next, this.path(SOURCES)));
  }

  /** Plans are made from the lists that came last. Throws E_IMAGE_CACHE when there are none. */
  async useCachedLists(): Promise<void> {
    if (!existsSync(this.path(SOURCES))) {
      throw new SternaError('E_IMAGE_CACHE', `The cache has no package lists of ${this.suite}`, {
        detail: { cache: this.directory },
      });
    }
    await this.configure();
  }

  /** These packages and all that they depend on. */
  async plan(packages: readonly string[]): Promise<PlannedPackage[]> {
    const result = await this.apt('apt-get', [
      ...['-q', '-y', '--no-install-recommends', '--print-uris'],
      ...['install', '--', ...packages],
    ]);
    if (result.status !== 0) throw planFailure(result, packages, this.suite);
    return parsePlan(result.output.toString('utf8'));
  }

  /** The kernel that the suite's meta package stands for, without what its scripts would need. */
  async planKernel(): Promise<PlannedPackage> {
    const shown = await this.apt('apt-cache', [
      ...['show', '--no-all-versions', '--', KERNEL_META_PACKAGE],
    ]);
    if (shown.status !== 0) throw planFailure(shown, [KERNEL_META_PACKAGE], this.suite);
    const name = dependencyOf(shown.output.toString('utf8'), 'linux-image-');
    if (name === undefined) {
      throw new SternaError('E_IMAGE_CONTENT', `${KERNEL_META_PACKAGE} names no kernel`);
    }
    const result = await this.apt('apt-get', ['-q', 'download', '--print-uris', '--', name]);
    if (result.status !== 0) throw planFailure(result, [name], this.suite);
    const [kernel] = parsePlan(result.output.toString('utf8'));
    if (kernel === undefined) throw planFailure(result, [name], this.suite);
    return kernel;
  }

  /** Fetches packages into a directory. `onPercent` is told how far it is. */
  async download(
    packages: readonly PlannedPackage[],
    directory: string,
    onPercent: (percent: number) => void,
  ): Promise<void> {
    const names = packages.map(({ name, version }) => `${name}=${version}`);
    const result = await this.tools.run('apt-get', {
      arguments: ['-q', '-o', 'APT::Status-Fd=3', 'download', '--', ...names],
      environment: { APT_CONFIG: this.path('apt.conf') },
      directory,
      onStatus(line) {
        const percent = /^dlstatus:[^:]*:([\d.]+):/.exec(line)?.[1];
        if (percent !== undefined) onPercent(Number(percent));
      },
    });
    if (result.status === 0) return;
    throw new SternaError('E_IMAGE_MIRROR', 'The packages could not be fetched', {
      detail: { apt: errorLines(result) },
    });
  }

  private configure(): Promise<void> {
    return accessCache(this.directory, () => this.writeConfiguration());
  }

  private async writeConfiguration(): Promise<void> {
    for (const name of ['lists/partial', 'archives/partial', 'etc', 'state']) {
      await makeDirectory(this.path(name));
    }
    // Whatever the host has installed is of another architecture.
    await writeFile(this.path('status'), '');
    await writeFile(this.path('apt.conf'), this.configuration());
  }

  private apt(name: 'apt-get' | 'apt-cache', words: readonly string[]): Promise<ToolResult> {
    return this.tools.run(name, {
      arguments: words,
      environment: { APT_CONFIG: this.path('apt.conf') },
      directory: this.directory,
      limitMs: SOLVER_LIMIT_MS,
    });
  }

  private path(name: string): string {
    return join(this.directory, name);
  }

  private configuration(): string {
    const settings: Readonly<Record<string, string>> = {
      'Dir::State': this.path('state'),
      'Dir::State::lists': this.path('lists'),
      'Dir::State::status': this.path('status'),
      'Dir::State::extended_states': this.path('state/extended_states'),
      'Dir::Cache': this.directory,
      'Dir::Cache::archives': this.path('archives'),
      // Rebuilt in a second; on disk they would only be one more thing that can be stale.
      'Dir::Cache::pkgcache': '',
      'Dir::Cache::srcpkgcache': '',
      'Dir::Etc': this.path('etc'),
      'Dir::Etc::main': '/dev/null',
      'Dir::Etc::parts': '/dev/null',
      'Dir::Etc::sourcelist': this.path(SOURCES),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Etc::preferences': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'Dir::Etc::trusted': '/dev/null',
      'Dir::Etc::trustedparts': this.host.trustedParts,
      // A mirror may ask for a password, which the host's apt has.
      'Dir::Etc::netrc': this.host.netrc,
      'Dir::Etc::netrcparts': this.host.netrcParts,
      'Dir::Log': this.path('state'),
      'APT::Architecture': ARCHITECTURE,
      'APT::Install-Recommends': 'false',
      // Root would become a user who may not write here.
      'APT::Sandbox::User': 'root',
      'APT::Get::AllowUnauthenticated': 'false',
      'Acquire::AllowInsecureRepositories': 'false',
      'Acquire::AllowWeakRepositories': 'false',
      'Acquire::AllowDowngradeToInsecureRepositories': 'false',
      'Acquire::Languages': 'none',
      'Acquire::GzipIndexes': 'true',
      'Acquire::ForceHash': 'SHA256',
      'Acquire::http::Timeout': '30',
      'Acquire::https::Timeout': '30',
      'Acquire::Retries': '2',
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";`);
    return [
      ...['#clear APT::Architectures;', `APT::Architectures { "${ARCHITECTURE}"; };`],
      ...lines,
      // Last, so that the host's own patience holds; it has no word on what is trusted.
      ...this.host.acquire,
      '',
    ].join('\n');
  }
}

function updateFailure(result: ToolResult, suite: string): SternaError {
  const apt = errorLines(result);
  const text = result.complaints;
  if (/NO_PUBKEY|BADSIG|EXPKEYSIG|is not signed|signature|no longer signed/i.test(text)) {
    return new SternaError('E_IMAGE_SIGNATURE', `The lists of ${suite} are not signed by Debian`, {
      detail: { apt },
    });
  }
  if (/does not have a Release file|404\s+Not Found/.test(text)) {
    return new SternaError('E_IMAGE_PACKAGE', `The mirror has no suite ${suite}`, {
      detail: { apt },
    });
  }
  return new SternaError('E_IMAGE_MIRROR', `The lists of ${suite} could not be fetched`, {
    detail: { apt },
  });
}

function planFailure(result: ToolResult, packages: readonly string[], suite: string): SternaError {
  const unknown = [
    ...result.complaints.matchAll(
      /Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate|Version '[^']*' for '([^']+)' was not found|No packages found/g,
    ),
  ].map(([, ...names]) => names.find((name) => name !== undefined) ?? packages.join(', '));
  if (unknown.length > 0) {
    return new SternaError(
      'E_IMAGE_PACKAGE',
      `${suite} has no ${unknown.join(', ')} for ${ARCHITECTURE}`,
    );
  }
  return new SternaError('E_IMAGE_PACKAGE', 'These packages cannot be put together', {
    detail: { packages, apt: errorLines(result) },
  });
}

/** What apt complains of, without its hints; short enough to be shown. */
function errorLines({ output, complaints }: ToolResult): string {
  const lines = complaints.split('\n').filter((line) => /^[EW]:/.test(line));
  const unmet = output
    .toString('utf8')
    .split('\n')
    .filter((line) => /^ .*(Depends|Conflicts|Breaks):/.test(line));
  return [...lines, ...unmet].join(' ').slice(0, 200).trim() || complaints.trim().slice(-200);
}
