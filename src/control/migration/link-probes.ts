import { type Clock, type Logger, SternaError } from '../../base/index.ts';
import type { SecuritySettings } from '../../channel/index.ts';
import { type LinkMeasurement, measureLink } from '../../source/index.ts';
import { connectPort } from './connect-destination.ts';
import type { ProbeRequest } from './migration-messages.ts';

export interface LinkProbesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly security: SecuritySettings;
}

/**
 * The migration worker's half: measures the link to a destination, one at a time, over the very
 * connection that a migration would make. Who begins a migration ends it first.
 */
export class LinkProbes {
  private readonly options: LinkProbesOptions;
  private active: { readonly ending: AbortController; readonly over: Promise<unknown> } | undefined;

  constructor(options: LinkProbesOptions) {
    this.options = options;
  }

  /** Rejects with E_STATE when one runs already, or with what `measureLink` rejects with. */
  async measure(request: ProbeRequest): Promise<LinkMeasurement> {
    if (this.active !== undefined) {
      throw new SternaError('E_STATE', 'A link is measured already');
    }
    const ending = new AbortController();
    const work = this.run(request, ending.signal);
    this.active = { ending, over: work };
    try {
      return await work;
    } finally {
      this.active = undefined;
    }
  }

  /** Ends what is under way; resolves when nothing is sent any more. Never rejects. */
  async end(): Promise<void> {
    this.active?.ending.abort();
    await this.active?.over.catch(() => {});
  }

  private async run(request: ProbeRequest, signal: AbortSignal): Promise<LinkMeasurement> {
    const { clock, log, security } = this.options;
    const { uri, durationMs, stallTimeoutMs } = request;
    const way = { uri, clock, security, timeoutMs: stallTimeoutMs, signal };
    const channel = await connectPort(way);
    return measureLink({ channel, clock, log, durationMs, stallTimeoutMs, signal });
  }
}
