import { WorkerHandle } from "./worker-handle.ts";

/** Where workers come from. One may be begun before it is known what it is for. */
export class WorkerSource {
  private readonly url: URL;
  private begun: WorkerHandle | null = null;

  /** `url`: the thread's entry; a test may wrap the real one. */
  constructor(url: URL) {
    this.url = url;
  }

  /** Begins the worker that `next` gives. */
  begin(): void {
    try {
      this.begun = new WorkerHandle(this.url);
    } catch {
      // No thread can be made: `next` tries again, where that is told.
    }
  }

  /** Throws what `Worker` throws when there is no room for a thread. */
  next(): WorkerHandle {
    const worker = this.begun ?? new WorkerHandle(this.url);
    this.begun = null;
    return worker;
  }
}
