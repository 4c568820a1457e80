import { Deadline, deadlineQueue } from "../shared/deadlines.ts";

/** Why a request is given up before its time. */
export type GivenUp = "client-gone" | "timeout";

/**
 * What can end a request from outside, in every phase: the client goes away, or the time limit for the whole
 * request runs out. Whoever waits for something puts the way to stop it into `onGivenUp`.
 */
export class RequestControl {
  givenUp: GivenUp | null = null;
  onGivenUp: (() => void) | null = null;
  private readonly limit: Deadline;
  private readonly startedMs: number;
  private readonly limitMs: number;

  /** `startedMs`: `performance.now()` when the time began. */
  constructor(limitMs: number, startedMs: number) {
    this.limitMs = limitMs;
    this.startedMs = startedMs;
    this.limit = new Deadline(() => this.giveUp("timeout"));
    this.limit.arm(deadlineQueue(limitMs), startedMs);
  }

  /** Ends it, once; a second reason changes nothing. */
  giveUp(reason: GivenUp): void {
    this.limit.cancel();
    if (this.givenUp !== null) return;
    this.givenUp = reason;
    this.onGivenUp?.();
  }

  /** The time limit no longer applies: a streamed answer has begun, or all is over. */
  liftLimit(): void {
    this.limit.cancel();
  }

  /** Milliseconds since the request came in. */
  elapsedMs(): number {
    return performance.now() - this.startedMs;
  }

  /** Milliseconds until the time limit. */
  leftMs(): number {
    return this.limitMs - this.elapsedMs();
  }

  /** Waits, or until the request is given up. */
  async wait(ms: number): Promise<void> {
    if (this.givenUp !== null) return;
    await new Promise<void>((resolve) => {
      // A timer drops what is less than a millisecond, and so would be early.
      const timer = setTimeout(resolve, Math.ceil(ms));
      this.onGivenUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.onGivenUp = null;
  }
}
