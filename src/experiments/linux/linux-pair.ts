import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentPair } from '../agent-pair.ts';
import type { LinuxImage } from './linux-image.ts';
import { SerialLine } from './serial-line.ts';

export interface LinuxPairOptions {
  readonly image: LinuxImage;
  /** As on the command line: `256M`. */
  readonly ram: string;
  /** Of the kernel's command line, behind the console. */
  readonly append?: string;
  readonly destinationArguments?: readonly string[];
  readonly sourceArguments?: readonly string[];
  readonly listen?: string;
  /** What the guest prints, wherever it is. */
  readonly onBytes?: (bytes: Buffer) => void;
}

/** A source that boots Linux, a destination, and the serial line of each. */
export class LinuxPair {
  readonly agents: AgentPair;
  readonly source: SerialLine;
  readonly destination: SerialLine;
  private readonly directory: string;

  private constructor(
    agents: AgentPair,
    [source, destination]: readonly [SerialLine, SerialLine],
    directory: string,
  ) {
    this.agents = agents;
    this.source = source;
    this.destination = destination;
    this.directory = directory;
  }

  /** Both are ready when it resolves, and the guest boots; when it rejects, nothing is left. */
  static async start(options: LinuxPairOptions): Promise<LinuxPair> {
    const { image, ram, append, onBytes, listen } = options;
    const { sourceArguments = [], destinationArguments = [] } = options;
    const directory = await mkdtemp(join(tmpdir(), 'sterna-linux-'));
    const lines = [
      await SerialLine.listen(join(directory, 'source.serial'), onBytes),
      await SerialLine.listen(join(directory, 'destination.serial'), onBytes),
    ] as const;
    const [source, destination] = lines;
    try {
      const agents = await AgentPair.start({
        ram,
        sourceArguments: [
          ...['--machine', 'virt-riscv64', '--kernel', image.kernel, '--initrd', image.initrd],
          ...['--append', `console=ttyS0 earlycon=sbi ${append ?? ''}`.trim()],
          ...['--serial', `unix:${source.path}`, ...sourceArguments],
        ],
        destinationArguments: ['--serial', `unix:${destination.path}`, ...destinationArguments],
        ...(listen === undefined ? {} : { listen }),
      });
      return new LinuxPair(agents, lines, directory);
    } catch (error) {
      for (const line of lines) line.close();
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.agents.close();
    this.source.close();
    this.destination.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
