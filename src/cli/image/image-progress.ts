import type { TextOutput } from '../context.ts';

/** Tells what an image is at: a line per step for people, an object per line for programs. */
export class ImageProgress {
  private readonly output: TextOutput;
  private readonly json: boolean;
  private lastTenth = -1;

  constructor(output: TextOutput, json: boolean) {
    this.output = output;
    this.json = json;
  }

  /** `text` follows the name of the command, as in "sterna image: fetches 3 packages". */
  step(name: string, text: string): void {
    this.lastTenth = -1;
    this.write({ event: 'progress', step: name, text }, text);
  }

  /** Tens only: a download has hundreds of others. */
  percent(name: string, percent: number): void {
    const tenth = Math.floor(percent / 10);
    if (tenth <= this.lastTenth) return;
    this.lastTenth = tenth;
    this.write({ event: 'progress', step: name, percent: tenth * 10 }, `${tenth * 10} %`);
  }

  private write(line: Readonly<Record<string, unknown>>, text: string): void {
    this.output.write(this.json ? `${JSON.stringify(line)}\n` : `sterna image: ${text}\n`);
  }
}
