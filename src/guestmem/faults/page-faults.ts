/** A page that a vCPU cannot do without. */
export interface PageFault {
  readonly vcpu: number;
  readonly block: number;
  /** Within its block. */
  readonly pfn: number;
}

/** The waits of a guest's vCPUs for pages that have not arrived, as one thread sees them. */
export interface PageFaults {
  /** Pages that vCPUs wait for now, one entry a vCPU. Empty while the guest is paused. */
  waiting(): readonly PageFault[];
  /**
   * Calls `onFault` in this thread each time a vCPU begins to wait; those that wait already are
   * told before it returns. None is missed, and none told twice for one wait; a wait that is over
   * before this thread comes to look needs nothing and is not told. A wait that a pause or a flip
   * interrupted begins anew, and is told anew. Returns what ends it.
   */
  watch(onFault: (fault: PageFault) => void): () => void;
  /**
   * After pages were marked received: the vCPUs whose page is there go on. Costs a load for each
   * vCPU when none waits, so it may follow each frame.
   */
  wake(): void;
  /** Of this machine since setPostcopy(true); live. */
  statistics(): FaultStatistics;
}

/** What missing pages cost the guest; each time is measured by the vCPU that waited. */
export interface FaultStatistics {
  readonly vcpus: readonly VcpuFaultStatistics[];
  /** Time during which every vCPU was blocked at once (QEMU's postcopy-blocktime). */
  readonly allBlockedMs: number;
  /**
   * 24 buckets; bucket N counts faults that took [2^N, 2^(N+1)) microseconds (QEMU's
   * postcopy-latency-dist); the first takes shorter ones too, the last longer ones.
   */
  readonly latencyBuckets: readonly number[];
  /** Of faults that are over, to within 5 %; 0 before the first. */
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
}

/** One vCPU's part of {@link FaultStatistics}. */
export interface VcpuFaultStatistics {
  readonly faults: number;
  /** With the wait that is going on. */
  readonly blockedMs: number;
  /** 0 before the first fault. */
  readonly meanLatencyNs: number;
}
