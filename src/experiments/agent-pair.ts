import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SternaError } from '../base/index.ts';
import type { QmpClient } from '../control/client/index.ts';
import { AgentProcess } from './agent-process.ts';

export interface AgentPairOptions {
  /** As on the command line: `256M`. */
  readonly ram: string;
  /** Without one the arguments say what the guest is. */
  readonly workload?: string;
  readonly vcpus?: number;
  readonly seed?: number;
  /** Beyond what the fields above say. */
  readonly sourceArguments?: readonly string[];
  readonly destinationArguments?: readonly string[];
  /** Where the destination listens; by default any free port of the loopback. */
  readonly listen?: string;
  readonly onLog?: (side: 'source' | 'destination', line: string) => void;
}

/** A source and a destination on this host, with state directories that vanish with them. */
export class AgentPair {
  readonly source: AgentProcess;
  readonly destination: AgentProcess;
  /** One connection to each, closed by `close()`. */
  readonly sourceQmp: QmpClient;
  readonly destinationQmp: QmpClient;
  private readonly directory: string;

  private constructor(parts: PairParts) {
    this.source = parts.source;
    this.destination = parts.destination;
    this.sourceQmp = parts.sourceQmp;
    this.destinationQmp = parts.destinationQmp;
    this.directory = parts.directory;
  }

  /** Both are ready when it resolves; when it rejects, neither is left. */
  static async start(options: AgentPairOptions): Promise<AgentPair> {
    const directory = await mkdtemp(join(tmpdir(), 'sterna-'));
    const starting = [
      startSource(options, directory),
      startDestination(options, directory),
    ] as const;
    try {
      const [source, destination] = await Promise.all(starting);
      const sourceQmp = await source.connect();
      const destinationQmp = await destination.connect();
      return new AgentPair({ source, destination, sourceQmp, destinationQmp, directory });
    } catch (error) {
      const results = await Promise.allSettled(starting);
      for (const result of results) if (result.status === 'fulfilled') await result.value.kill();
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where the source migrates to. */
  get uri(): string {
    const { listen } = this.destination.ready;
    if (listen === null) throw new SternaError('E_STATE', 'The destination does not listen');
    return listen;
  }

  /** Ends both and removes their state. Idempotent. */
  async close(): Promise<void> {
    this.sourceQmp.close();
    this.destinationQmp.close();
    await Promise.all([this.source.stop(), this.destination.stop()]);
    await rm(this.directory, { recursive: true, force: true });
  }
}

interface PairParts {
  readonly source: AgentProcess;
  readonly destination: AgentProcess;
  readonly sourceQmp: QmpClient;
  readonly destinationQmp: QmpClient;
  readonly directory: string;
}

function startSource(options: AgentPairOptions, directory: string): Promise<AgentProcess> {
  const { ram, workload, vcpus, seed, sourceArguments, onLog } = options;
  return AgentProcess.start({
    role: 'source',
    arguments: [
      ...['--name', 'source', '--state-dir', join(directory, 'source')],
      ...['--ram', ram],
      ...(workload === undefined ? [] : ['--workload', workload]),
      ...(vcpus === undefined ? [] : ['--vcpus', String(vcpus)]),
      ...(seed === undefined ? [] : ['--seed', String(seed)]),
      ...(sourceArguments ?? []),
    ],
    ...(onLog === undefined ? {} : { onLog: (line) => onLog('source', line) }),
  });
}

function startDestination(options: AgentPairOptions, directory: string): Promise<AgentProcess> {
  const { listen, destinationArguments, onLog } = options;
  return AgentProcess.start({
    role: 'destination',
    arguments: [
      ...['--name', 'destination', '--state-dir', join(directory, 'destination')],
      ...['--listen', listen ?? 'tcp:127.0.0.1:0'],
      ...(destinationArguments ?? []),
    ],
    ...(onLog === undefined ? {} : { onLog: (line) => onLog('destination', line) }),
  });
}
