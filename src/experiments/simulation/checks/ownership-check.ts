import { decodeRecovery } from '../../../protocol/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { SimulatedHost } from '../simulated-host.ts';

const RESUMING: readonly string[] = ['RESUMED', 'POSTCOPY_RESUMED'];

/**
 * At most one host runs the guest, and only one whose disk says that it owns it; GRANT and RESUMED
 * go out only behind the records that they depend on; and whoever sent GRANT never runs the guest
 * again unless the other side said that it does not have it, or an operator did. One that he
 * overruled without need goes on until it has heard of it.
 */
export class OwnershipCheck implements Checker {
  private readonly log: EventLog;
  private readonly hosts: readonly SimulatedHost[];
  private readonly given = new Set<SimulatedHost>();
  /** Runs a guest that an operator has taken from it, and does not know. */
  private overruled: SimulatedHost | undefined;

  constructor(log: EventLog, hosts: readonly SimulatedHost[]) {
    this.log = log;
    this.hosts = hosts;
  }

  /** A host that gets a guest anew starts from nothing. */
  forget(host: SimulatedHost): void {
    this.given.delete(host);
  }

  saw(event: SimulationEvent): void {
    if (event.kind === 'sends') this.sends(event.host, event.name);
    if (event.kind === 'receives' && event.name === 'ERROR' && event.guestOwner === 'source') {
      this.given.delete(event.host);
    }
    if (event.kind === 'receives' && event.name === 'RECOVERY')
      this.answered(event.host, event.body);
    if (event.kind === 'taken-back') {
      this.given.delete(event.host);
      this.overruled = event.from;
    }
    // It has heard of it, and its vCPUs have come to their next safepoint.
    if (event.kind === 'paused' && event.reason === 'ownership') this.stopped(event.host);
    if (event.kind === 'killed' || event.kind === 'destroyed') this.stopped(event.host);
    this.checkRunning();
  }

  private stopped(host: SimulatedHost): void {
    if (this.overruled === host) this.overruled = undefined;
  }

  private sends(host: SimulatedHost, name: string): void {
    const state = host.record?.state ?? 'nothing';
    if (name === 'GRANT') {
      this.given.add(host);
      if (state !== 'granting')
        this.log.violation(`${host.name} sends GRANT while its disk says ${state}`);
    }
    if (RESUMING.includes(name) && state !== 'owner')
      this.log.violation(`${host.name} sends ${name} while its disk says ${state}`);
  }

  private answered(host: SimulatedHost, body: Uint8Array): void {
    const decoded = decodeRecovery(body);
    if (decoded.kind === 'ok' && decoded.body.outcome === 'abandoned') this.given.delete(host);
  }

  private checkRunning(): void {
    const running = this.hosts.filter((host) => host.isRunning && host !== this.overruled);
    if (running.length > 1)
      this.log.violation(`${running.map(({ name }) => name).join(' and ')} run the guest`);
    for (const host of running) {
      const state = host.record?.state ?? 'nothing';
      if (state !== 'owner')
        this.log.violation(`${host.name} runs the guest while its disk says ${state}`);
      if (this.given.has(host)) this.log.violation(`${host.name} runs the guest after GRANT`);
    }
  }
}
