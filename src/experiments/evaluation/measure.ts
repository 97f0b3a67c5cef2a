import { type Clock, SternaError, systemClock } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import { AgentPair } from '../agent-pair.ts';
import { linuxImage } from '../linux/linux-image.ts';
import { LinuxPair } from '../linux/linux-pair.ts';
import { ConsoleWatch } from './console-watch.ts';
import { type Figures, figuresOf, type MigrationReply } from './figures.ts';
import type { LinuxSpec, MigrationSpec } from './scenario.ts';
import { WatchedClient } from './watched-client.ts';

/** Private to the namespace of a shaped link, so that a fixed one is free there. */
export const SHAPED_PORT = 4446;

const POLL_MS = 20;
const BOOT_LIMIT_MS = 120_000;
const LIMIT_MS = 180_000;
/** Of two rounds of a load, on a host with other work. */
const LIFE_LIMIT_MS = 30_000;
/** The guest reports what it noticed 100 ms after it was resumed. */
const GUEST_REPORT_LIMIT_MS = 2_000;
const ENDED: readonly string[] = ['completed', 'failed', 'cancelled'];

/**
 * Starts a pair, migrates its guest once, and resolves to what both sides, the guest and its client
 * say. Rejects when an agent does not have a parameter that SPEC sets (E_CONFIG_INVALID), or when
 * nothing ends.
 */
export async function measureMigration(
  spec: MigrationSpec,
  clock: Clock = systemClock(),
): Promise<Figures> {
  if (spec.linux !== undefined) return measureLinux(spec, spec.linux, clock);
  const service = spec.client === undefined ? [] : ['--service', 'tcp:127.0.0.1:0'];
  const pair = await AgentPair.start({
    ram: spec.ram,
    ...(spec.workload === undefined ? {} : { workload: spec.workload }),
    ...(spec.vcpus === undefined ? {} : { vcpus: spec.vcpus }),
    // No figure may be one of first touches of memory, which only this host makes slow.
    destinationArguments: [...service, '--prealloc', spec.ram],
    sourceArguments: service,
    ...(spec.linkBytesPerSecond === undefined ? {} : { listen: `tcp:127.0.0.1:${SHAPED_PORT}` }),
  });
  try {
    await booted(pair, clock);
    const client = await WatchedClient.start(spec.client, pair, clock);
    return await migrateOnce(pair, spec, clock, client);
  } finally {
    await pair.close();
  }
}

/** The same of a Linux, when its script has begun to work. */
async function measureLinux(spec: MigrationSpec, linux: LinuxSpec, clock: Clock): Promise<Figures> {
  const watch = new ConsoleWatch(clock);
  const pair = await LinuxPair.start({
    image: await linuxImage(undefined),
    ram: spec.ram,
    append: `sterna_init=${linux.init}`,
    onBytes: (bytes) => watch.see(bytes),
    ...(spec.linkBytesPerSecond === undefined ? {} : { listen: `tcp:127.0.0.1:${SHAPED_PORT}` }),
  });
  try {
    await pair.source.until(/load \d+ ok/, BOOT_LIMIT_MS, clock);
    const client = await WatchedClient.ofConsole(watch, clock);
    watch.restart();
    const figures = await migrateOnce(pair.agents, spec, clock, client);
    return withLife(figures, await watch.goesOn(LIFE_LIMIT_MS));
  } finally {
    await pair.close();
  }
}

/** Whether the load went on where the guest went. */
function withLife(figures: Figures, isAlive: boolean): Figures {
  const { client, ...rest } = figures;
  if (client === undefined) return figures;
  const sessions = { sessionsAlive: isAlive ? 1 : 0, sessionsDead: isAlive ? 0 : 1 };
  return { ...rest, client: { ...client, ...sessions } };
}

async function booted({ sourceQmp }: AgentPair, clock: Clock): Promise<void> {
  await until(clock, BOOT_LIMIT_MS, async () => {
    const guest = (await sourceQmp.execute('x-guest-info')) as GuestReply;
    return guest.booted ? true : undefined;
  });
}

async function migrateOnce(
  pair: AgentPair,
  spec: MigrationSpec,
  clock: Clock,
  client: WatchedClient | undefined,
): Promise<Figures> {
  const { sourceQmp, destinationQmp } = pair;
  await checkParameters(sourceQmp, Object.keys(spec.parameters ?? {}));
  await sourceQmp.execute('migrate-set-capabilities', {
    capabilities: (spec.capabilities ?? []).map((capability) => ({ capability, state: true })),
  });
  await sourceQmp.execute('migrate-set-parameters', { 'max-bandwidth': 0, ...spec.parameters });
  try {
    await sourceQmp.execute('migrate', { uri: pair.uri });
    const counting = new AccessCount(destinationQmp, spec.linux === undefined);
    const source = await until(clock, LIMIT_MS, async () => {
      const reply = (await sourceQmp.execute('query-migrate')) as MigrationReply;
      if ((reply['x-sterna']?.passes?.length ?? 0) >= 1) client?.firstPassEnded();
      await counting.at(reply.status);
      return hasEnded(reply) ? reply : undefined;
    });
    const last = await guestReport(clock, sourceQmp, source);
    const destination = (await destinationQmp.execute('query-migrate')) as MigrationReply;
    const seen = await client?.afterwards();
    return {
      ...figuresOf(last, destination),
      ...(counting.accesses === undefined ? {} : { accesses: counting.accesses }),
      ...(seen === undefined ? {} : { client: seen }),
    };
  } finally {
    await client?.stop();
  }
}

interface GuestReply {
  readonly booted: boolean;
  readonly reads: number;
  readonly writes: number;
}

/** What the guest accessed while pages were missing. */
class AccessCount {
  accesses: number | undefined;
  private from: number | undefined;
  private readonly destination: QmpClient;
  /** A Linux counts none. */
  private readonly isCounted: boolean;

  constructor(destination: QmpClient, isCounted: boolean) {
    this.destination = destination;
    this.isCounted = isCounted;
  }

  async at(status: string): Promise<void> {
    if (!this.isCounted) return;
    const isMissing = status === 'postcopy-active';
    if (!isMissing && (this.from === undefined || this.accesses !== undefined)) return;
    const { reads, writes } = (await this.destination.execute('x-guest-info')) as GuestReply;
    if (isMissing) this.from ??= reads + writes;
    else this.accesses = reads + writes - (this.from ?? 0);
  }
}

function hasEnded(reply: MigrationReply): boolean {
  const verify = reply['x-sterna']?.verify?.status ?? 'running';
  return ENDED.includes(reply.status) && (reply.status !== 'completed' || verify !== 'running');
}

/** Waits a little for the guest's own view of the pause. */
async function guestReport(
  clock: Clock,
  source: QmpClient,
  reply: MigrationReply,
): Promise<MigrationReply> {
  const endMs = clock.nowMs() + GUEST_REPORT_LIMIT_MS;
  let last = reply;
  while (
    last.status === 'completed' &&
    last['x-sterna']?.['guest-downtime-us'] === undefined &&
    clock.nowMs() < endMs
  ) {
    await clock.sleep(POLL_MS);
    last = (await source.execute('query-migrate')) as MigrationReply;
  }
  return last;
}

async function checkParameters(source: QmpClient, names: readonly string[]): Promise<void> {
  const known = (await source.execute('query-migrate-parameters')) as Record<string, unknown>;
  const missing = names.filter((name) => !(name in known));
  if (missing.length === 0) return;
  throw new SternaError('E_CONFIG_INVALID', `This version has no ${missing.join(', ')}`, {
    detail: { missing },
  });
}

async function until<Value>(
  clock: Clock,
  limitMs: number,
  ask: () => Promise<Value | undefined>,
): Promise<Value> {
  const endMs = clock.nowMs() + limitMs;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    if (clock.nowMs() > endMs) {
      throw new SternaError('E_STATE', `The run did not end within ${limitMs} ms`);
    }
    await clock.sleep(POLL_MS);
  }
}
