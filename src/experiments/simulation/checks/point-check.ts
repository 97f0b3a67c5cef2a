import { decodeJournalAck, decodeJournalPoint } from '../../../protocol/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { RamCheck, RamSnapshot } from './ram-check.ts';

/**
 * With a journal the frozen guest at the source is always a whole point of the guest at the
 * destination: the RAM of the switch, and after each JOURNAL_POINT that was applied all of RAM as
 * it was when the guest stood still for it. A guest that was taken back goes on from there.
 */
export class PointCheck implements Checker {
  private readonly log: EventLog;
  private readonly ram: RamCheck;
  private source: SimulatedHost | undefined;
  private destination: SimulatedHost | undefined;
  /** By the number of the point; 0 is the switch. */
  private readonly points = new Map<number, RamSnapshot>();
  private readonly received = new Set<number>();
  private standing: RamSnapshot | undefined;
  private acknowledged = 0;
  private isTakenBack = false;

  constructor(log: EventLog, ram: RamCheck) {
    this.log = log;
    this.ram = ram;
  }

  saw(event: SimulationEvent): void {
    if (event.kind === 'attempt') return this.begin(event.host, event.to);
    if (event.kind === 'taken-back') this.isTakenBack = true;
    if (event.host === this.destination) this.sawDestination(event);
    else if (event.host === this.source) this.sawSource(event);
  }

  private begin(source: SimulatedHost, destination: SimulatedHost): void {
    this.source = source;
    this.destination = destination;
    this.points.clear();
    this.received.clear();
    this.standing = undefined;
    this.acknowledged = 0;
    this.isTakenBack = false;
  }

  private sawDestination(event: SimulationEvent): void {
    if (event.kind === 'paused' && event.reason === 'checkpoint') {
      this.standing = this.ram.snapshot();
    } else if (event.kind === 'sends' && event.name === 'JOURNAL_POINT') {
      const told = decodeJournalPoint(event.body);
      if (told.kind === 'ok' && this.standing !== undefined)
        this.points.set(told.body.point, this.standing);
    }
  }

  private sawSource(event: SimulationEvent): void {
    if (event.kind === 'sends' && event.name === 'GRANT') {
      this.points.set(0, this.ram.snapshot());
    } else if (event.kind === 'receives' && event.name === 'JOURNAL_POINT') {
      const told = decodeJournalPoint(event.body);
      if (told.kind === 'ok') this.received.add(told.body.point);
    } else if (event.kind === 'sends' && event.name === 'JOURNAL_ACK') {
      const told = decodeJournalAck(event.body);
      if (told.kind === 'ok' && told.body.batches === 0)
        this.isApplied(event.host, told.body.point);
    } else if (event.kind === 'resumed' && event.reason === 'migration' && this.isTakenBack) {
      this.isTakenBack = false;
      this.goesOn(event.host);
    }
  }

  private isApplied(host: SimulatedHost, point: number): void {
    this.acknowledged = Math.max(this.acknowledged, point);
    const pages = this.points.get(point);
    if (pages === undefined || !this.received.has(point))
      return this.log.violation(`${host.name} acknowledges point ${point}, which it never had`);
    const [different] = this.ram.differences(host, pages);
    if (different !== undefined)
      this.log.violation(`${host.name} is not point ${point}: page ${different} differs`);
  }

  /** What was acknowledged at least; the answer to a later one may have been lost with its link. */
  private goesOn(host: SimulatedHost): void {
    const applicable = [...this.points.keys()]
      .filter((point) => point >= this.acknowledged && (point === 0 || this.received.has(point)))
      .sort((first, second) => second - first);
    for (const point of applicable) {
      const pages = this.points.get(point);
      if (pages === undefined || this.ram.differences(host, pages).length > 0) continue;
      return this.ram.goBackTo(host, pages);
    }
    this.log.violation(
      `${host.name} took the guest back, and it is no point from ${this.acknowledged} on`,
    );
  }
}
