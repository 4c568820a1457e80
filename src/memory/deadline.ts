import type { Region } from "./region.ts";
import { msOf, tickFrom } from "./ticks.ts";

/**
 * Moments that only move to later, each with a mark (0 or 1) that says why: the later one wins, with its
 * mark. One Int32 word: tick in the upper bits, mark in the lowest; zero is a deadline that was never set.
 */
export class Deadlines {
  readonly #words: Int32Array;

  constructor(region: Region, count: number) {
    this.#words = region.int32(count);
  }

  /** Moves the deadline to `ms` (rounded up to a tick) unless it is later already. */
  extend(index: number, ms: number, mark: 0 | 1): void {
    const next = (tickFrom(ms) << 1) | mark;
    for (;;) {
      const word = Atomics.load(this.#words, index);
      if (word >= next) return;
      if (Atomics.compareExchange(this.#words, index, word, next) === word) return;
    }
  }

  /** The word, for `deadlineMs` and `deadlineMark`. A plain read: see `peek` of the state words. */
  read(index: number): number {
    return this.#words[index]!;
  }

  clear(index: number): void {
    Atomics.store(this.#words, index, 0);
  }
}

/** The moment in milliseconds; 0 when none was set. */
export function deadlineMs(word: number): number {
  return msOf(word >>> 1);
}

export function deadlineMark(word: number): 0 | 1 {
  return (word & 1) as 0 | 1;
}
