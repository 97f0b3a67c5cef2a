import { parentPort, workerData } from 'node:worker_threads';
import { GuestMemory, type GuestMemoryHandles } from './guest-memory.ts';
import { prefaultBlock } from './prefault.ts';

// workerData is what startPrefault() passes.
const { handles } = workerData as { readonly handles: GuestMemoryHandles };
for (const block of GuestMemory.attach(handles).blocks) prefaultBlock(block);
parentPort?.close();
