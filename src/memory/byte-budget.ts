import type { Region } from "./region.ts";

/** The budget is given out in pieces of this size. */
export const PIECE_BYTES = 262_144;

/**
 * Memory that all threads together may fill, in pieces. A stripe per worker says how many it has, so that those of a
 * worker that died can be given back. The total is never below the sum of the stripes: taking raises it
 * first, giving back lowers it last.
 */
export class ByteBudget {
  /** Pieces taken, and how many there are (0 = no bound). */
  readonly #totals: Int32Array;
  readonly #stripes: Int32Array;

  constructor(region: Region, workers: number) {
    this.#totals = region.int32(2);
    this.#stripes = region.int32(workers);
  }

  /** Sets how many bytes there are, rounded up to a piece. What is taken already stays taken. */
  setMax(bytes: number): void {
    Atomics.store(this.#totals, 1, Math.min(Math.ceil(bytes / PIECE_BYTES), 2 ** 31 - 1));
  }

  /** How many bytes there are. */
  get bytesMax(): number {
    const pieces = Atomics.load(this.#totals, 1);
    return pieces === 0 ? Number.POSITIVE_INFINITY : pieces * PIECE_BYTES;
  }

  /** Takes pieces if that many are left. */
  take(worker: number, pieces: number): boolean {
    const max = Atomics.load(this.#totals, 1);
    for (;;) {
      const taken = Atomics.load(this.#totals, 0);
      if (max > 0 && taken + pieces > max) return false;
      if (Atomics.compareExchange(this.#totals, 0, taken, taken + pieces) !== taken) continue;
      Atomics.add(this.#stripes, worker, pieces);
      return true;
    }
  }

  /** Gives pieces back, as many as the worker has taken or fewer. */
  giveBack(worker: number, pieces: number): void {
    Atomics.sub(this.#stripes, worker, pieces);
    Atomics.sub(this.#totals, 0, pieces);
  }

  /** Gives back all that a worker had. Only for a worker that has ended. */
  giveBackAll(worker: number): void {
    const pieces = Atomics.exchange(this.#stripes, worker, 0);
    if (pieces > 0) Atomics.sub(this.#totals, 0, pieces);
  }

  /** Bytes taken by all threads, in whole pieces. */
  takenBytes(): number {
    return Atomics.load(this.#totals, 0) * PIECE_BYTES;
  }
}
