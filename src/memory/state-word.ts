import type { Region } from "./region.ts";
import { TICK_BITS, TICKS_MAX } from "./ticks.ts";

/**
 * Small state machines: a state (0 to 3) and a tick in one Int32 word. The tick tells two visits to the same state
 * apart, so whoever holds a word from before cannot move a later visit: its compare-and-swap fails. The
 * thread whose swap succeeds is the one that made the transition, and the only one.
 */
export class StateWords {
  readonly #words: Int32Array;

  constructor(region: Region, count: number) {
    this.#words = region.int32(count);
  }

  /** The word as it is now, for `stateOf`, `tickOf` and a later `move`. */
  read(index: number): number {
    return Atomics.load(this.#words, index);
  }

  /**
   * The word as it was a moment ago. A plain read, for choosing among many: in JavaScriptCore `Atomics.load` takes
   * the cache line from the other threads (measured with Bun 1.4.5 on x64), so that threads which only look at the
   * same words slow each other down tenfold. 32 bits are never torn, and whatever is then claimed is checked again
   * by the compare-and-swap that claims it.
   */
  peek(index: number): number {
    return this.#words[index]!;
  }

  /** Moves on if the word still is `from`. True for the one thread that made the move. */
  move(index: number, from: number, state: number, tick: number): boolean {
    return Atomics.compareExchange(this.#words, index, from, (state << TICK_BITS) | tick) === from;
  }

  clear(index: number): void {
    Atomics.store(this.#words, index, 0);
  }
}

export function stateOf(word: number): number {
  return word >>> TICK_BITS;
}

export function tickOf(word: number): number {
  return word & TICKS_MAX;
}
