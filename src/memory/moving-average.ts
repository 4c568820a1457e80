import type { Region } from "./region.ts";

/** Weight of a new sample; the average so far keeps the rest. */
export const FACTOR = 0.15;

const WORD_MAX = 2 ** 31 - 1;

/**
 * Exponential moving averages: average += 0.15 x (sample - average), by compare-and-swap. A value is kept
 * in fixed point with `fractionBits` bits of fraction, plus one: zero means that there was no sample yet.
 */
export class MovingAverages {
  readonly #words: Int32Array;
  readonly #scale: number;
  readonly #unit: number;
  readonly #valueMax: number;

  constructor(region: Region, count: number, fractionBits: number) {
    this.#words = region.int32(count);
    this.#scale = 2 ** fractionBits;
    this.#unit = 2 ** -fractionBits;
    this.#valueMax = (WORD_MAX - 1) / this.#scale;
  }

  /** Takes a sample in; values outside the range are cut to it. Without a sample so far, the average was `start`. */
  sample(index: number, value: number, start: number = value): void {
    for (;;) {
      const word = Atomics.load(this.#words, index);
      const average = word === 0 ? start : this.#decode(word);
      const next = this.#encode(average + FACTOR * (value - average));
      if (Atomics.compareExchange(this.#words, index, word, next) === word) return;
    }
  }

  /** Begins anew: whatever was there before, the average is now `value`. */
  restart(index: number, value: number): void {
    Atomics.store(this.#words, index, this.#encode(value));
  }

  /** The average, or null without a sample. A plain read: see `peek` of the state words. */
  read(index: number): number | null {
    const word = this.#words[index]!;
    return word === 0 ? null : this.#decode(word);
  }

  clear(index: number): void {
    Atomics.store(this.#words, index, 0);
  }

  #decode(word: number): number {
    return (word - 1) * this.#unit;
  }

  #encode(value: number): number {
    return Math.round(Math.min(Math.max(value, 0), this.#valueMax) * this.#scale) + 1;
  }
}
