/** A timer that fires so late says that the thread was held up. */
const HELD_UP_MS = 10;

/**
 * Deadlines by the thousand: one list per duration, in the order of expiry since all entries of a list wait
 * equally long, and at most one timer per list. Arming and cancelling are O(1) and allocate nothing, where a
 * timer per request costs more than parsing its head.
 */
export class DeadlineQueue {
  readonly durationMs: number;
  private readonly ends: Deadline;
  private timer: ReturnType<typeof setTimeout> | null = null;
  /** The sockets have had their turn since a timer fired late. */
  private gaveTurn = false;

  constructor(durationMs: number) {
    this.durationMs = durationMs;
    this.ends = new Deadline(() => {});
  }

  /** Puts a deadline that is in no queue at the end of this one. */
  append(deadline: Deadline, nowMs: number): void {
    deadline.expiresMs = nowMs + this.durationMs;
    const last = this.ends.before;
    deadline.before = last;
    deadline.after = this.ends;
    last.after = deadline;
    this.ends.before = deadline;
    if (this.timer === null) this.schedule(this.durationMs);
  }

  private schedule(delayMs: number): void {
    this.timer = setTimeout(() => this.expire(), delayMs);
    this.timer.unref();
  }

  private expire(): void {
    // The timer that has just fired stays in place meanwhile: what is armed from within needs none of its own.
    const now = performance.now();
    const next = this.ends.after;
    // Timers go before sockets: when the thread was held up, what arrived in time has not been read yet.
    if (!this.gaveTurn && next !== this.ends && now - next.expiresMs > HELD_UP_MS) {
      this.gaveTurn = true;
      this.schedule(1);
      return;
    }
    this.gaveTurn = false;
    for (let first = this.ends.after; first !== this.ends; first = this.ends.after) {
      if (first.expiresMs > now) {
        this.schedule(Math.ceil(first.expiresMs - now));
        return;
      }
      first.cancel();
      first.onExpire();
    }
    this.timer = null;
  }
}

/** Something that happens unless it is cancelled, or armed anew, in time. */
export class Deadline {
  /** Fields of the list it stands in; written by `DeadlineQueue` only. */
  before: Deadline = this;
  after: Deadline = this;
  expiresMs = 0;
  readonly onExpire: () => void;

  constructor(onExpire: () => void) {
    this.onExpire = onExpire;
  }

  /**
   * Starts it, or starts it over; it then expires after the queue's duration. `nowMs`: `performance.now()`, for those who
   * have just read it.
   */
  arm(queue: DeadlineQueue, nowMs: number = performance.now()): void {
    this.cancel();
    queue.append(this, nowMs);
  }

  /** Stops it. Harmless when it is not armed. */
  cancel(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
  }
}

const queues = new Map<number, DeadlineQueue>();

/** The queue of this thread for a duration: all that wait equally long share one. */
export function deadlineQueue(durationMs: number): DeadlineQueue {
  let queue = queues.get(durationMs);
  if (queue === undefined) {
    queue = new DeadlineQueue(durationMs);
    queues.set(durationMs, queue);
  }
  return queue;
}
