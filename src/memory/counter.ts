import type { Region } from "./region.ts";

/** Whole numbers that any thread may add to. They wrap around after 2^31, so compare them by difference. */
export class Counters {
  readonly #cells: Int32Array;

  constructor(region: Region, count: number) {
    this.#cells = region.int32(count);
  }

  /** Adds one and gives the value before. */
  next(index: number): number {
    return Atomics.add(this.#cells, index, 1);
  }

  /** A plain read: see `peek` of the state words. */
  read(index: number): number {
    return this.#cells[index]!;
  }

  /** For a cell that is a note rather than a count: the last thread that wrote wins. */
  write(index: number, value: number): void {
    Atomics.store(this.#cells, index, value);
  }
}
