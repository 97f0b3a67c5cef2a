import type { Logger } from '../../base/index.ts';
import { type Address, parseAddress } from '../../channel/index.ts';
import type { MigrationHost } from './migration-host.ts';
import type { ListenRequest } from './migration-messages.ts';

/** Where an agent listens for guests. Its workers have the sockets: a new one has to be told. */
export class Listening {
  private readonly host: Pick<MigrationHost, 'listen' | 'recover'>;
  private readonly log: Logger;
  private place: { readonly address: Address; readonly uri: string } | undefined;

  constructor(host: Pick<MigrationHost, 'listen' | 'recover'>, log: Logger) {
    this.host = host;
    this.log = log;
  }

  /** Undefined while no port is open. */
  get address(): Address | undefined {
    return this.place?.address;
  }

  /** Resolves with the real address. Rejects with E_CONFIG_INVALID, E_FILE or E_BUSY. */
  async open(request: ListenRequest): Promise<string> {
    const real = await this.host.listen(request);
    // A file comes once; only a port stays open.
    if (parseAddress(real).kind === 'tcp') this.note(real);
    return real;
  }

  /** Where the source of a migration in post-copy may come again. Resolves as `open`. */
  async recover(uri: string): Promise<string> {
    const real = await this.host.recover(uri);
    this.note(real);
    return real;
  }

  /** The worker that listened is gone. Never rejects: a port that is not to be had is logged. */
  async reopen(requestFor: (uri: string) => ListenRequest): Promise<void> {
    if (this.place === undefined) return;
    const { uri } = this.place;
    this.place = undefined;
    try {
      await this.open(requestFor(uri));
    } catch (thrown) {
      this.log.error({ event: 'migration.listen-failed', uri, error: String(thrown) });
    }
  }

  private note(uri: string): void {
    this.place = { address: parseAddress(uri), uri };
  }
}
