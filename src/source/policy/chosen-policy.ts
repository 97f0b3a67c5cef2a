import type { DecisionInfo, Logger, PolicyInfo } from '../../base/index.ts';
import type { Interrupt } from '../interrupt.ts';
import { autoPolicy } from './auto.ts';
import { type Checked, checkBegin, checkDecision } from './check-decision.ts';
import type { Policy, PolicyBegin, PolicyDecision, PolicyRound, PolicyStart } from './policy.ts';
import type { PolicyModule } from './policy-module.ts';
import { builtInPolicy } from './policy-table.ts';
import { byTimeout, withinDeadline } from './user-rules.ts';

/** The first answer takes the start of a thread and the loading of a file. */
const BEGIN_LIMIT_MS = 3000;
/** The guest runs on meanwhile, so that a loop costs this much time and nothing else. */
const DECIDE_LIMIT_MS = 500;

export interface ChosenPolicyOptions {
  /** Parameter `x-policy`. */
  readonly name: string;
  /** Where the name is a path. */
  readonly module: PolicyModule | undefined;
  readonly enabled: readonly string[];
  readonly interrupt: Interrupt;
  readonly log: Logger;
}

/**
 * The policy of one migration. A user's own that cannot be loaded, throws, does not answer, or
 * answers what is no decision is replaced by `auto` from then on, and that is told; the migration
 * and the guest feel nothing of it. A timeout of the user's holds whatever a policy says.
 */
export class ChosenPolicy {
  private readonly options: ChosenPolicyOptions;
  private policy: Policy;
  private module: PolicyModule | undefined;
  private fallbackReason: string | undefined;
  private lastDecision: DecisionInfo | undefined;

  constructor(options: ChosenPolicyOptions) {
    this.options = options;
    this.module = options.module;
    this.policy = builtInPolicy(options.name) ?? autoPolicy;
    const isUnknown = builtInPolicy(options.name) === undefined && options.module === undefined;
    if (isUnknown) this.fallBack('nobody here can load a policy from a file');
  }

  /** Rejects only with what the interrupt raises. */
  async begin(start: PolicyStart): Promise<PolicyBegin> {
    const { module } = this;
    const answer =
      module && (await this.ask(() => module.begin(start), BEGIN_LIMIT_MS, checkBegin));
    return answer ?? this.policy.begin?.(start) ?? {};
  }

  /** The same. */
  async decide(round: PolicyRound): Promise<PolicyDecision> {
    const { module } = this;
    const check = (answer: unknown) => checkDecision(answer, round.limits.allows);
    const answer = module && (await this.ask(() => module.decide(round), DECIDE_LIMIT_MS, check));
    let decision = answer ?? this.policy.decide(round);
    if (decision.action === 'iterate') decision = byTimeout(round) ?? decision;
    decision = withinDeadline(round, decision);
    this.lastDecision = {
      pass: round.pass,
      action: decision.action,
      reason: decision.action === 'iterate' ? undefined : decision.reason,
      because: decision.because,
    };
    return decision;
  }

  info(): PolicyInfo {
    return {
      name: this.module === undefined ? this.policy.name : this.options.name,
      fallbackReason: this.fallbackReason,
      enabled: this.options.enabled,
      lastDecision: this.lastDecision,
    };
  }

  close(): void {
    this.options.module?.close();
  }

  /** Undefined when the module was of no use, and is given up. */
  private async ask<T>(
    question: () => Promise<unknown>,
    limitMs: number,
    check: (answer: unknown) => Checked<T>,
  ): Promise<T | undefined> {
    const { interrupt } = this.options;
    let checked: Checked<T> | undefined;
    const settle = (result: Checked<T>) => {
      checked = result;
      interrupt.wake();
    };
    question().then(
      (answer) => settle(check(answer)),
      (thrown) => {
        settle({ ok: false, problem: messageOf(thrown) });
      },
    );
    try {
      await interrupt.until(() => checked !== undefined, limitMs, 'answer of the policy');
    } catch (thrown) {
      // A broken link and a cancel are not the policy's doing.
      interrupt.throwIfRaised();
      if (checked === undefined) {
        checked = { ok: false, problem: messageOf(thrown) };
      }
    }
    // Assigned by a callback, which the compiler does not see.
    const result = checked as Checked<T> | undefined;
    if (result?.ok) return result.value;
    this.fallBack(result?.problem ?? 'no answer');
    return undefined;
  }

  private fallBack(reason: string): void {
    this.options.module?.close();
    this.module = undefined;
    this.policy = autoPolicy;
    this.fallbackReason = reason;
    this.options.log.warn({ event: 'policy.fallback', policy: this.options.name, reason });
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
