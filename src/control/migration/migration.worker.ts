import { parentPort, workerData } from 'node:worker_threads';
import { assert, createLogger, reachFault, systemClock } from '../../base/index.ts';
import { FileLedger } from '../state/file-ledger.ts';
import type { HostMessage, WorkerSettings } from './migration-messages.ts';
import { MigrationService } from './migration-service.ts';

/** The thread that owns sockets and engines; everything it does is in MigrationService. */
const port = parentPort;
assert(port !== null, 'The migration worker runs as a worker');
// MigrationHost is the only one who starts it.
const { name, logLevel, stateDirectory, fault, security, drives } = workerData as WorkerSettings;
const log = createLogger(logLevel, { agent: name, thread: 'migration' });

const service = new MigrationService({
  clock: systemClock(),
  log,
  ledger: new FileLedger(stateDirectory),
  security,
  drives,
  post: (message) => port.postMessage(message),
  // The whole process, and nothing that would clean up behind it.
  reached: reachFault(fault, () => process.kill(process.pid, 'SIGKILL')),
});
port.on('message', (message: HostMessage) => service.handle(message));
