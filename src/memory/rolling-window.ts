import type { Region } from "./region.ts";

/** A window is this many buckets long; it moves on by one bucket at a time. */
const BUCKETS = 10;

/** Each count of a bucket has 16 bits. A bucket that is full halves both counts, which keeps their ratio. */
const COUNT_MAX = 0xffff;
/** Up to here a count takes one more of every thread there may be. */
const COUNT_SAFE = 0xff00;

/** Two counts that belong together: calls and how many of them failed, or requests and retries. */
export interface Counts {
  readonly calls: number;
  readonly failures: number;
}

/**
 * Counts of the last `windowMs` per index. A bucket is one 64-bit word (epoch 32, calls 16, failures 16), so
 * that a bucket which is used anew and counted in changes in one compare-and-swap. The epoch numbers the
 * stretches of windowMs / 10 since the clock's zero; a bucket with an epoch outside the window counts as
 * empty. Two threads' clocks may be apart: up to one window is harmless.
 */
export class RollingWindows {
  readonly #buckets: BigUint64Array;
  /** The same memory by halves: of each bucket its counts, then its epoch. */
  readonly #halves: Int32Array;
  readonly #coder = new BucketCoder();

  constructor(region: Region, count: number) {
    this.#buckets = region.uint64(count * BUCKETS);
    const { buffer, byteOffset, length } = this.#buckets;
    this.#halves = new Int32Array(buffer, byteOffset, length * 2);
  }

  /** Adds so few that a bucket takes them of every thread at once: a call, one failure. */
  add(index: number, nowMs: number, windowMs: number, calls: number, failures: number): void {
    const epoch = epochAt(nowMs, windowMs);
    const at = 2 * (index * BUCKETS + (epoch % BUCKETS));
    const halves = this.#halves;
    // Mostly the bucket is the one under way and has room: its counts change without BigInts, which are slow. Held up for
    // a whole window between the two, a thread adds one call too many to the bucket of others.
    if (Atomics.load(halves, at + 1) === (epoch | 0) && hasRoom(halves[at]!))
      Atomics.add(halves, at, (calls << 16) + failures);
    else this.addIf(index, nowMs, windowMs, calls, failures, null);
  }

  /**
   * Adds if `admits` says yes to the counts so far. The bucket that is added to must not have changed
   * meanwhile, so threads that add at the same time cannot all be admitted for the same room.
   * Gives whether it was added.
   */
  addIf(
    index: number,
    nowMs: number,
    windowMs: number,
    calls: number,
    failures: number,
    admits: ((counts: Counts) => boolean) | null,
  ): boolean {
    const epoch = epochAt(nowMs, windowMs);
    const cell = index * BUCKETS + (epoch % BUCKETS);
    const coder = this.#coder;
    for (;;) {
      const word = Atomics.load(this.#buckets, cell);
      if (admits !== null && !admits(this.sum(index, nowMs, windowMs))) return false;
      coder.decode(word);
      const ahead = (coder.epoch - epoch) | 0;
      // A thread that was held up for a whole window must not wipe what others count now.
      if (ahead === BUCKETS) return false;
      const kept = ahead === 0;
      const next = coder.encode(
        epoch,
        (kept ? coder.calls : 0) + calls,
        (kept ? coder.failures : 0) + failures,
      );
      if (Atomics.compareExchange(this.#buckets, cell, word, next) === word) return true;
    }
  }

  /** The counts of the last `windowMs`, the stretch that is under way included. */
  sum(index: number, nowMs: number, windowMs: number): Counts {
    const epoch = epochAt(nowMs, windowMs);
    const coder = this.#coder;
    let [calls, failures] = [0, 0];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      coder.decode(Atomics.load(this.#buckets, index * BUCKETS + bucket));
      const age = (epoch - coder.epoch) | 0;
      if (age >= BUCKETS || age <= -BUCKETS) continue;
      calls += coder.calls;
      failures += coder.failures;
    }
    return { calls, failures };
  }

  /**
   * Whether there is a failure in any bucket, also in one that the window has left behind: where there is none, `sum` need
   * not be asked for failures, which costs far more. Plain reads: see `peek` of the state words.
   */
  mayHaveFailures(index: number): boolean {
    const first = 2 * index * BUCKETS;
    for (let at = first; at < first + 2 * BUCKETS; at += 2)
      if ((this.#halves[at]! & COUNT_MAX) !== 0) return true;
    return false;
  }

  clear(index: number): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      Atomics.store(this.#buckets, index * BUCKETS + bucket, 0n);
    }
  }
}

function epochAt(nowMs: number, windowMs: number): number {
  return Math.floor((Math.max(nowMs, 0) * BUCKETS) / windowMs);
}

function hasRoom(counts: number): boolean {
  return counts >>> 16 < COUNT_SAFE && (counts & COUNT_MAX) < COUNT_SAFE;
}

/** Takes a 64-bit word apart and puts one together; by way of a typed array, as BigInt arithmetic is slow. */
class BucketCoder {
  readonly #word = new BigUint64Array(1);
  readonly #halves = new Uint32Array(this.#word.buffer);
  epoch = 0;
  calls = 0;
  failures = 0;

  decode(word: bigint): void {
    this.#word[0] = word;
    const counts = this.#halves[0]!;
    this.epoch = this.#halves[1]!;
    this.calls = counts >>> 16;
    this.failures = counts & COUNT_MAX;
  }

  encode(epoch: number, calls: number, failures: number): bigint {
    const full = calls > COUNT_MAX || failures > COUNT_MAX;
    const callsKept = full ? calls >>> 1 : calls;
    const failuresKept = full ? failures >>> 1 : failures;
    this.#halves[0] = (callsKept << 16) | failuresKept;
    this.#halves[1] = epoch;
    return this.#word[0]!;
  }
}
