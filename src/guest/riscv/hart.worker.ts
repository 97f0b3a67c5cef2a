import { parentPort, workerData } from 'node:worker_threads';
import { type HartWorkerData, runRiscvHart } from './hart-thread.ts';

// Posted by RiscvMachine.create(), which is built together with this file.
runRiscvHart(workerData as HartWorkerData, (event) => parentPort?.postMessage(event));
