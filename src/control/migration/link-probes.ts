import type { Clock, Logger } from '../../base/index.ts';
import type { SecuritySettings } from '../../channel/index.ts';
import { type LinkMeasurement, measureLink } from '../../source/index.ts';
import { SingleTask } from '../observation/single-task.ts';
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
  private readonly task = new SingleTask('A link is measured already');

  constructor(options: LinkProbesOptions) {
    this.options = options;
  }

  /** Rejects with E_STATE when one runs already, or with what `measureLink` rejects with. */
  measure(request: ProbeRequest): Promise<LinkMeasurement> {
    return this.task.run((signal) => this.run(request, signal));
  }

  /** Ends what is under way; resolves when nothing is sent any more. Never rejects. */
  end(): Promise<void> {
    return this.task.end();
  }

  private async run(request: ProbeRequest, signal: AbortSignal): Promise<LinkMeasurement> {
    const { clock, log, security } = this.options;
    const { uri, durationMs, stallTimeoutMs } = request;
    const way = { uri, clock, security, timeoutMs: stallTimeoutMs, signal };
    const channel = await connectPort(way);
    return measureLink({ channel, clock, log, durationMs, stallTimeoutMs, signal });
  }
}
