export { AgentPair, type AgentPairOptions } from './agent-pair.ts';
export {
  type AgentExit,
  AgentProcess,
  type AgentProcessOptions,
  parseReadyLine,
  type ReadyLine,
  sternaExecutable,
} from './agent-process.ts';
export {
  ErpClient,
  type ErpClientOptions,
  type ErpReport,
  SESSION_LIMIT_MS,
} from './clients/erp-client.ts';
export { Playback, type PlaybackReport } from './clients/playback.ts';
export {
  StreamClient,
  type StreamClientOptions,
  type StreamReport,
} from './clients/stream-client.ts';
