import { workerData } from 'node:worker_threads';
import { runWorkloadVcpu, type VcpuWorkerData } from './vcpu-thread.ts';

// Posted by WorkloadMachine.create(), which is built together with this file.
runWorkloadVcpu(workerData as VcpuWorkerData);
