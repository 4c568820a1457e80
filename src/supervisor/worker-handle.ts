import type { Generation } from "../proxy/generation.ts";
import { nowMs } from "../shared/clock.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** Answer of a worker to a generation that it is to serve by; `null`: it has ended, or did not answer in time. */
export type Opened = Extract<FromWorker, { kind: "listening" | "cannot-listen" }> | null;

type Answer = Extract<FromWorker, { generation: number }>;
type Question = "opened" | "committed";

/** What the supervisor wants to know of a worker. */
export interface WorkerListener {
  onMessage(message: FromWorker): void;
  /** The thread has ended, whatever the reason; called once. */
  onEnd(reason: string): void;
}

/** One worker thread, as the supervisor sees it. */
export class WorkerHandle {
  /** Settles when it has nothing in progress after `drain`, or has ended. */
  readonly drained: Promise<void>;
  private readonly thread: Worker;
  private listener: WorkerListener | null = null;
  private readonly waiting = new Map<string, (answer: Answer | null) => void>();
  private readonly resolveDrained: () => void;
  private ended = false;
  private reason = "it ended by itself";

  /** Starts the thread; `url`: its entry. */
  constructor(url: URL) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.drained = promise;
    this.resolveDrained = resolve;
    this.thread = new Worker(url);
    this.thread.onmessage = (event: MessageEvent<FromWorker>) => {
      // What it had counted is settled at its end; its successor's cells mean something else.
      if (!this.ended) this.take(event.data);
    };
    this.thread.onerror = (event) => {
      this.reason = event.message;
    };
    this.thread.addEventListener("close", () => this.end());
  }

  /**
   * To be called before it is told anything: without a word from the supervisor a worker says nothing. An end that came
   * before is told during the call.
   */
  listen(listener: WorkerListener): void {
    this.listener = listener;
    if (this.ended) listener.onEnd(this.reason);
  }

  tell(message: ToWorker): void {
    if (!this.ended) this.thread.postMessage(message);
  }

  /** Tells it to serve by a generation, or to prepare for it, and waits for its answer. */
  open(message: Extract<ToWorker, { generation: Generation }>, limitMs: number): Promise<Opened> {
    return this.ask(message, "opened", message.generation.number, limitMs) as Promise<Opened>;
  }

  /** Tells it to serve by the generation that it is prepared for; gives whether it does. */
  async commit({ number }: Generation, limitMs: number): Promise<boolean> {
    return (await this.ask({ kind: "commit" }, "committed", number, limitMs)) !== null;
  }

  private ask(
    message: ToWorker,
    question: Question,
    generation: number,
    limitMs: number,
  ): Promise<Answer | null> {
    if (this.ended) return Promise.resolve(null);
    return new Promise((resolve) => {
      const key = `${question} ${generation}`;
      const timer = setTimeout(() => settle(null), limitMs);
      const settle = (answer: Answer | null) => {
        clearTimeout(timer);
        this.waiting.delete(key);
        resolve(answer);
      };
      this.waiting.set(key, settle);
      this.tell(message);
    });
  }

  private take(message: FromWorker): void {
    switch (message.kind) {
      case "clock?":
        return this.tell({ kind: "clock", nowMs: nowMs() });
      case "listening":
      case "cannot-listen":
        return this.waiting.get(`opened ${message.generation}`)?.(message);
      case "committed":
        return this.waiting.get(`committed ${message.generation}`)?.(message);
      case "drained":
        return this.resolveDrained();
      default:
        this.listener?.onMessage(message);
    }
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    for (const settle of [...this.waiting.values()]) settle(null);
    this.resolveDrained();
    this.listener?.onEnd(this.reason);
  }
}
