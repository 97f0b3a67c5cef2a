import { decodeRecovery } from '../../../protocol/index.ts';
import type { Checker, SimulationEvent } from '../event-log.ts';
import type { SimulatedHost } from '../simulated-host.ts';

/** What the two sides of an attempt said when it mattered, as the source heard it. */
export class HeardAnswers implements Checker {
  granted = false;
  answer: 'none' | 'has-it' | 'does-not-have-it' | 'lost' = 'none';
  /** The guest runs at the destination while pages are missing. */
  inPostcopy = false;
  private readonly source: SimulatedHost;

  constructor(source: SimulatedHost) {
    this.source = source;
  }

  saw(event: SimulationEvent): void {
    if (event.host !== this.source) return;
    if (event.kind === 'sends' && event.name === 'GRANT') this.granted = true;
    if (event.kind !== 'receives') return;
    const { name, guestOwner, body } = event;
    if (name === 'POSTCOPY_RESUMED') this.inPostcopy = true;
    if (name === 'RESUMED' || name === 'POSTCOPY_RESUMED') this.hear('has-it');
    if (name === 'ERROR' && guestOwner === 'source') this.hear('does-not-have-it');
    if (name === 'RECOVERY') this.hearRecovery(body);
  }

  private hearRecovery(body: Uint8Array): void {
    const decoded = decodeRecovery(body);
    if (decoded.kind === 'malformed') return;
    const { outcome, continues } = decoded.body;
    if (continues) this.inPostcopy = true;
    if (outcome === 'owner' || outcome === 'moved') this.hear('has-it');
    else if (outcome === 'abandoned') this.hear('does-not-have-it');
    else if (outcome === 'lost') this.answer = 'lost';
  }

  /** The first word counts: only that the guest died can follow. */
  private hear(answer: 'has-it' | 'does-not-have-it'): void {
    if (this.answer === 'none') this.answer = answer;
  }
}
