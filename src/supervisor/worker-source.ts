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
    this.begun ??= new WorkerHandle(this.url);
  }

  /** Gives the one that was begun, or begins one. */
  next(): WorkerHandle {
    const worker = this.begun ?? new WorkerHandle(this.url);
    this.begun = null;
    return worker;
  }
}
