import { nowMs } from "../shared/clock.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** What the supervisor wants to know of a worker. */
export interface WorkerListener {
  onMessage(message: FromWorker): void;
  /** The thread has ended, whatever the reason; called once. */
  onEnd(reason: string): void;
}

/** One worker thread, as the supervisor sees it. */
export class WorkerHandle {
  private readonly thread: Worker;
  private ended = false;

  /** `url`: the thread's entry; a test may wrap the real one. */
  constructor(url: URL | string, listener: WorkerListener) {
    this.thread = new Worker(url);
    let reason = "it ended by itself";
    const end = () => {
      if (this.ended) return;
      this.ended = true;
      listener.onEnd(reason);
    };
    this.thread.onmessage = (event: MessageEvent<FromWorker>) => {
      // What it had counted is settled at its end; its successor's cells mean something else.
      if (this.ended) return;
      if (event.data.kind === "clock?") this.tell({ kind: "clock", nowMs: nowMs() });
      else listener.onMessage(event.data);
    };
    this.thread.onerror = (event) => {
      reason = event.message;
    };
    this.thread.addEventListener("close", end);
  }

  tell(message: ToWorker): void {
    if (!this.ended) this.thread.postMessage(message);
  }
}
