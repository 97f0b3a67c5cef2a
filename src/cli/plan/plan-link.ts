import type { QmpClient } from '../../control/client/index.ts';
import type { PlanLink } from '../../experiments/plan/index.ts';

const MIB = 2 ** 20;
/** Of a link of which nothing else is known: one network. */
const ROUND_TRIP_MS_DEFAULT = 0.2;

/** What the user says of the link; it wins over what is measured. */
export interface LinkOptions {
  /** Where the destination listens; the agent measures the way there. */
  readonly to?: string | undefined;
  /** MiB/s. */
  readonly bandwidth?: number | undefined;
  readonly roundTrip?: number | undefined;
}

/** Whether the two options of the user leave something to be measured. */
export function mustProbe({ to, bandwidth, roundTrip }: LinkOptions): boolean {
  return to !== undefined && (bandwidth === undefined || roundTrip === undefined);
}

/** The link of a plan; `measured` is what `probeLink` found, if there was something to be found. */
export function linkOf(
  { bandwidth, roundTrip }: LinkOptions,
  measured: PlanLink | undefined,
): PlanLink | undefined {
  const bytesPerMs = bandwidth === undefined ? measured?.bytesPerMs : (bandwidth * MIB) / 1000;
  if (bytesPerMs === undefined) return undefined;
  return { bytesPerMs, roundTripMs: roundTrip ?? measured?.roundTripMs ?? ROUND_TRIP_MS_DEFAULT };
}

/** The agent makes it: it has the keys, and is where the guest would come from. */
export async function probeLink(qmp: QmpClient, uri: string): Promise<PlanLink> {
  const reply = (await qmp.execute('x-probe-link', { uri })) as Readonly<Record<string, number>>;
  return {
    bytesPerMs: Number(reply['bytes-per-second']) / 1000,
    roundTripMs: Number(reply['round-trip-us']) / 1000,
  };
}
