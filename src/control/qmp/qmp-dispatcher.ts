import { type Logger, SternaError } from '../../base/index.ts';
import type { AgentControl } from '../agent-control.ts';
import { checkArguments, isObject, type QmpCommand, type QmpCommands } from './qmp-command.ts';
import { errorReply, failureReply, type QmpReply, returnReply } from './qmp-reply.ts';
import type { QmpInput } from './qmp-scanner.ts';
import { PACKAGE, QMP_VERSION } from './qmp-version.ts';

const INPUT_MEMBERS: ReadonlySet<string> = new Set(['execute', 'arguments', 'id']);
const NEGOTIATE = 'qmp_capabilities';

/** The first line on each connection. */
export function greeting(): unknown {
  return { QMP: { version: { qemu: QMP_VERSION, package: PACKAGE }, capabilities: [] } };
}

/**
 * One client's conversation: text in, reply out, in order. Before `qmp_capabilities` nothing else
 * is answered, and no event is sent. Never throws: whatever a client sends gets a reply.
 */
export class QmpDispatcher {
  private readonly agent: AgentControl;
  private readonly commands: QmpCommands;
  private readonly log: Logger;
  private negotiated = false;

  constructor(agent: AgentControl, commands: QmpCommands, log: Logger) {
    this.agent = agent;
    this.commands = commands;
    this.log = log;
  }

  get wantsEvents(): boolean {
    return this.negotiated;
  }

  async reply(input: QmpInput): Promise<QmpReply> {
    if (input.kind === 'garbage') return errorReply('GenericError', input.reason);
    let value: unknown;
    try {
      value = JSON.parse(input.text);
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : 'unreadable';
      return errorReply('GenericError', `JSON parse error, ${reason}`);
    }
    if (!isObject(value)) return errorReply('GenericError', 'QMP input must be a JSON object');
    const problem = inputProblem(value);
    if (problem !== undefined) return errorReply('GenericError', problem, value.id);
    // inputProblem() has looked at these types.
    const name = value.execute as string;
    const values = (value.arguments ?? {}) as Readonly<Record<string, unknown>>;
    return this.execute(name, values, value.id);
  }

  private async execute(
    name: string,
    values: Readonly<Record<string, unknown>>,
    id: unknown,
  ): Promise<QmpReply> {
    if (name === NEGOTIATE) return this.negotiate(values, id);
    if (!this.negotiated) {
      const desc = `Expecting capabilities negotiation with '${NEGOTIATE}'`;
      return errorReply('CommandNotFound', desc, id);
    }
    const command = Object.hasOwn(this.commands, name) ? this.commands[name] : undefined;
    if (command === undefined) {
      return errorReply('CommandNotFound', `The command ${name} has not been found`, id);
    }
    return this.run(command, name, values, id);
  }

  private async run(
    command: QmpCommand,
    name: string,
    values: Readonly<Record<string, unknown>>,
    id: unknown,
  ): Promise<QmpReply> {
    try {
      checkArguments(command.arguments, values);
      return returnReply(await command.run(this.agent, values), id);
    } catch (thrown) {
      if (thrown instanceof SternaError) {
        this.log.info({ event: 'qmp.command-refused', command: name, code: thrown.code });
      } else {
        // A defect of ours. The guest must not pay for it, so the agent goes on and says so loudly.
        const stack = thrown instanceof Error ? thrown.stack : String(thrown);
        this.log.error({ event: 'qmp.command-crashed', command: name, stack });
      }
      return failureReply(thrown, id);
    }
  }

  private negotiate(values: Readonly<Record<string, unknown>>, id: unknown): QmpReply {
    if (this.negotiated) {
      const desc = 'Capabilities negotiation is already complete, command ignored';
      return errorReply('CommandNotFound', desc, id);
    }
    try {
      checkArguments({ enable: { type: 'array', optional: true } }, values);
      const wanted = Array.isArray(values.enable) ? values.enable : [];
      if (wanted.length > 0) {
        throw new SternaError('E_CONFIG_INVALID', `Capability ${String(wanted[0])} not available`);
      }
    } catch (thrown) {
      return failureReply(thrown, id);
    }
    this.negotiated = true;
    return returnReply(undefined, id);
  }
}

function inputProblem(value: Readonly<Record<string, unknown>>): string | undefined {
  const unexpected = Object.keys(value).find((member) => !INPUT_MEMBERS.has(member));
  if (unexpected !== undefined) return `QMP input member '${unexpected}' is unexpected`;
  if (value.execute === undefined) return "QMP input lacks member 'execute'";
  if (typeof value.execute !== 'string') return "QMP input member 'execute' must be a string";
  if (value.arguments !== undefined && !isObject(value.arguments)) {
    return "QMP input member 'arguments' must be an object";
  }
  return undefined;
}
