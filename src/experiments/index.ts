export { AgentPair, type AgentPairOptions } from './agent-pair.ts';
export {
  type AgentExit,
  AgentProcess,
  type AgentProcessOptions,
  parseReadyLine,
  type ReadyLine,
  sternaExecutable,
} from './agent-process.ts';
