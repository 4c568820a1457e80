/**
 * One monotonic clock for all threads. `performance.now()` starts at zero in every thread, so a worker
 * aligns itself once with the supervisor before it touches a deadline in shared memory.
 */
let offsetMs = 0;

/** Milliseconds since the supervisor started; never jumps with the wall clock. */
export function nowMs(): number {
  return alignedMs(performance.now());
}

/** What `nowMs()` was when `performance.now()` of this thread was so much. */
export function alignedMs(localMs: number): number {
  return localMs + offsetMs;
}

/** Makes `nowMs()` of this thread agree with the supervisor's, whose reading was just received. */
export function alignClock(supervisorNowMs: number): void {
  offsetMs = supervisorNowMs - performance.now();
}

const READINGS = 9;

/**
 * Aligns the clock of a thread closely. A reading is old by the time that it took to come back, which is milliseconds
 * while threads start; so several are asked for, and the one that came back soonest counts, taken as read
 * half way: it is off by half of its way there and back at most (https://doi.org/10.1007/BF01784024). That is some
 * 10 us, where a rate limit would otherwise refuse a burst that two threads see at once.
 */
export class ClockAlignment {
  private readings = 0;
  private askedMs = 0;
  private bestMs = Number.POSITIVE_INFINITY;

  /** To be called right before a reading is asked for. */
  asking(): void {
    this.askedMs = performance.now();
  }

  /** Takes the reading that was asked for. Gives whether that is enough. */
  take(supervisorNowMs: number): boolean {
    const tookMs = performance.now() - this.askedMs;
    if (tookMs < this.bestMs) {
      this.bestMs = tookMs;
      alignClock(supervisorNowMs + tookMs / 2);
    }
    return ++this.readings >= READINGS;
  }
}
