/** A disk, as the block device sees it. Positions and lengths lie inside; failures are reported. */
export interface Drive {
  readonly capacityBytes: number;
  readonly isReadOnly: boolean;
  /** A view that is valid until the next call, or undefined when the host cannot read it. */
  read(position: number, length: number): Uint8Array | undefined;
  /** False when the host cannot write it. */
  write(position: number, bytes: Uint8Array): boolean;
  /** True when all that was written is on the medium. */
  flush(): boolean;
}
