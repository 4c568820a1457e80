import type { Region } from "./region.ts";

/** Rows of a worker per index. With two, one of them is never the published one and free to be written. */
const ROWS = 2;

/**
 * Rows of numbers that change as a whole, without a lock. Every worker owns two rows per index, and one word
 * per index says which row of all is published, with a sequence number beside it. An update reads the word,
 * copies the published row, works on the copy, writes it to a row of its own that is not published,
 * and publishes that by a compare-and-swap of the word. A row is only written while it is not
 * published; so if it was written while it was being copied, the word has moved on, the swap
 * fails, and the torn copy is thrown away.
 *
 * Rows outlive their worker, and a replacement with the same number finds the free one by the same rule. The
 * sequence has 32 bits less those of the row number (2^25 values with 64 workers): a stalled thread would have to
 * sleep through exactly that many updates, or a multiple, to take an old word for the present one; the cost would
 * be one uneven update.
 */
export class Snapshots {
  readonly #words: Int32Array;
  /** All rows of one worker in one array: index by index, the first row and the second. */
  readonly #rows: readonly Float64Array[];
  readonly #width: number;
  readonly #sequenceUnit: number;
  readonly #copy: Float64Array;

  constructor(region: Region, workers: number, count: number, length: number) {
    this.#words = region.int32(count);
    // A row begins with its key.
    this.#width = length + 1;
    this.#rows = Array.from({ length: workers }, () => region.float64(count * ROWS * this.#width));
    this.#sequenceUnit = 1;
    while (this.#sequenceUnit < workers * ROWS) this.#sequenceUnit *= 2;
    this.#copy = new Float64Array(length);
  }

  /**
   * Runs `step` on a copy of the first `length` numbers and publishes what it leaves there; gives what `step`
   * gave. `step` may run several times and may see torn numbers on the runs that are thrown away, so it must
   * do nothing else and end for any input. `key` (not 0) says what the numbers are about:
   * a row with another key counts as all zero.
   */
  update(
    worker: number,
    index: number,
    key: number,
    length: number,
    step: (row: Float64Array) => number,
  ): number {
    for (;;) {
      const word = Atomics.load(this.#words, index);
      const published = word & (this.#sequenceUnit - 1);
      this.#read(published, index, key, length);
      const result = step(this.#copy);
      const spare = published === worker * ROWS ? published + 1 : worker * ROWS;
      this.#write(spare, index, key, length);
      const next = (((word - published) | 0) + this.#sequenceUnit + spare) | 0;
      if (Atomics.compareExchange(this.#words, index, word, next) === word) return result;
    }
  }

  #read(row: number, index: number, key: number, length: number): void {
    const rows = this.#rows[row >>> 1]!;
    const copy = this.#copy;
    let cell = (index * ROWS + (row & 1)) * this.#width;
    const known = rows[cell] === key;
    for (let i = 0; i < length; i++) copy[i] = known ? rows[++cell]! : 0;
  }

  #write(row: number, index: number, key: number, length: number): void {
    const rows = this.#rows[row >>> 1]!;
    const copy = this.#copy;
    let cell = (index * ROWS + (row & 1)) * this.#width;
    rows[cell] = key;
    for (let i = 0; i < length; i++) rows[++cell] = copy[i]!;
  }
}
