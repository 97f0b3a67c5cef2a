import { SternaError } from '../../base/index.ts';

/** Work of which there is one at a time, and which ends when something else goes first. */
export class SingleTask {
  private readonly refusal: string;
  private active: { readonly ending: AbortController; readonly over: Promise<unknown> } | undefined;

  /** `refusal`: why there is no second one. */
  constructor(refusal: string) {
    this.refusal = refusal;
  }

  /** Settles as `begin` does. Rejects with E_STATE when there is one already. */
  async run<T>(begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.active !== undefined) throw new SternaError('E_STATE', this.refusal);
    const ending = new AbortController();
    const over = begin(ending.signal);
    this.active = { ending, over };
    try {
      return await over;
    } finally {
      this.active = undefined;
    }
  }

  /** Raises the signal of what is under way; resolves when that is over. Never rejects. */
  async end(): Promise<void> {
    this.active?.ending.abort();
    await this.active?.over.catch(() => {});
  }
}
