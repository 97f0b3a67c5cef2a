export { AgentPair, type AgentPairOptions } from './agent-pair.ts';
export {
  type AgentExit,
  AgentProcess,
  type AgentProcessOptions,
  type ReadyLine,
  sternaExecutable,
} from './agent-process.ts';
export {
  ErpClient,
  type ErpClientOptions,
  type ErpReport,
} from './clients/erp-client.ts';
export { Playback, type PlaybackReport } from './clients/playback.ts';
export {
  StreamClient,
  type StreamClientOptions,
  type StreamReport,
} from './clients/stream-client.ts';
export { type LinuxImage, linuxImage } from './linux/linux-image.ts';
export { LinuxPair, type LinuxPairOptions } from './linux/linux-pair.ts';
export { type Move, type MoveOptions, moveMachine } from './moving-machine.ts';
