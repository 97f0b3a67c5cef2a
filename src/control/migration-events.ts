import type { MigrationInfo, MigrationStatus } from '../base/index.ts';

/**
 * MIGRATION and MIGRATION_PASS, made of what changes between two infos. Only with the capability
 * `events`.
 */
export class MigrationEvents {
  private readonly emit: (event: string, data: unknown) => void;
  private readonly isWanted: () => boolean;
  private lastStatus: MigrationStatus = 'none';
  private lastSide: MigrationInfo['side'] | undefined;
  private lastPass = 0;

  constructor(emit: (event: string, data: unknown) => void, isWanted: () => boolean) {
    this.emit = emit;
    this.isWanted = isWanted;
  }

  update(info: MigrationInfo): void {
    const { status, side } = info;
    if (status !== this.lastStatus || side !== this.lastSide) {
      if (status === 'setup') this.lastPass = 0;
      this.lastStatus = status;
      this.lastSide = side;
      if (this.isWanted()) this.emit('MIGRATION', { status });
    }
    const passes = info.ram.dirtySyncCount;
    // An event for each pass, also when two ended between two looks; QEMU's destination has none.
    for (let pass = this.lastPass + 1; pass <= passes && side === 'source'; pass += 1) {
      if (this.isWanted()) this.emit('MIGRATION_PASS', { pass });
    }
    this.lastPass = passes;
  }
}
