import type { HistoryResult } from '../../experiments/simulation/index.ts';
import type { CliContext } from '../context.ts';

/** Sums over the histories of one `sterna sim`. */
export interface HistoryTotals {
  histories: number;
  failedHistories: number;
  migrations: number;
  completedMigrations: number;
  events: number;
  simulatedMs: number;
}

export function noHistories(): HistoryTotals {
  return {
    histories: 0,
    failedHistories: 0,
    migrations: 0,
    completedMigrations: 0,
    events: 0,
    simulatedMs: 0,
  };
}

export function countHistory(totals: HistoryTotals, result: HistoryResult): void {
  const { attempts, violations } = result;
  const completed = attempts.filter(({ outgoing }) => outgoing.status === 'completed');
  totals.histories += 1;
  totals.failedHistories += violations.length > 0 ? 1 : 0;
  totals.migrations += attempts.length;
  totals.completedMigrations += completed.length;
  totals.events += result.eventCount;
  totals.simulatedMs += result.simulatedMs;
}

export interface SimulationPrinter {
  history(result: HistoryResult): void;
  summary(totals: HistoryTotals): void;
}

/** `replay`: as text, with the plan and the last events also of a history in which all is well. */
export function simulationPrinter(
  context: CliContext,
  format: 'text' | 'replay' | 'json',
): SimulationPrinter {
  return format === 'json' ? jsonPrinter(context) : textPrinter(context, format === 'replay');
}

function replayCommand(seed: number): string {
  return `sterna sim --seed ${seed}`;
}

function textPrinter({ stdout }: CliContext, isReplay: boolean): SimulationPrinter {
  return {
    history({ seed, violations, tail, plan, digest }) {
      if (isReplay) {
        stdout.write(`${tail.join('\n')}\n`);
        stdout.write(`plan: ${JSON.stringify(plan)}\ndigest: ${digest}\n`);
      }
      const [first] = violations;
      if (first === undefined) return;
      const more = violations.length === 1 ? '' : `, and ${violations.length - 1} more`;
      stdout.write(`seed ${seed}: ${first}${more}; replay: ${replayCommand(seed)}\n`);
    },
    summary({ histories, failedHistories, migrations, completedMigrations, events, simulatedMs }) {
      const simulated = `${(simulatedMs / 1000).toFixed(1)} s simulated, ${events} events`;
      stdout.write(
        `${histories} histories, ${failedHistories} with violations; ` +
          `${migrations} migrations, ${completedMigrations} completed; ${simulated}\n`,
      );
    },
  };
}

function jsonPrinter({ stdout }: CliContext): SimulationPrinter {
  const write = (fields: Record<string, unknown>) => stdout.write(`${JSON.stringify(fields)}\n`);
  return {
    history({ seed, violations, tail, plan, digest }) {
      if (violations.length === 0) return;
      write({
        event: 'violation',
        seed,
        violations,
        replay: replayCommand(seed),
        plan,
        digest,
        tail,
      });
    },
    summary: (totals) => write({ event: 'summary', ...totals }),
  };
}
