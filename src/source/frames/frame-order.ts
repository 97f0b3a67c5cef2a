/**
 * Frames go out in the order in which their pages were gathered, also when one is finished before
 * another that was begun earlier.
 *
 * Deltas need that: the cache holds what the destination will hold when it has applied every frame
 * that was gathered so far, in that order. So does a page that is in two frames, of which the later
 * one counts. Whoever sends a message that speaks of the frames before it waits until none is left.
 */
export class FrameOrder {
  private readonly queue: { write: (() => void) | undefined }[] = [];

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** `write` is called when all frames before have gone: at once, or later. */
  ready(write: () => void): void {
    if (this.isEmpty) write();
    else this.queue.push({ write });
  }

  /** The same for a frame that is not finished. Nothing goes any more when it never will be. */
  pending(finished: Promise<() => void>, failed: (error: unknown) => void): void {
    const place: { write: (() => void) | undefined } = { write: undefined };
    this.queue.push(place);
    finished.then((write) => {
      place.write = write;
      this.drain();
    }, failed);
  }

  private drain(): void {
    for (let first = this.queue[0]; first?.write !== undefined; first = this.queue[0]) {
      this.queue.shift();
      first.write();
    }
  }
}
