import type { Region } from "./region.ts";

/**
 * Totals stand a cache line (16 words) apart: choosing by score reads those of a whole group while other threads
 * change them, and side by side each change would slow every read.
 */
const SPACING = 4;

/**
 * Requests sent and not finished, per upstream: a total that all threads see, and a stripe per worker with
 * its own part of it, so that the part of a worker that died can be given back. The total is never below
 * the sum of the stripes, and no stripe is ever negative: taking raises the total first, giving back lowers it last.
 */
export class InFlight {
  readonly #totals: Int32Array;
  readonly #stripes: readonly Int32Array[];

  constructor(region: Region, workers: number, upstreams: number) {
    this.#totals = region.int32(upstreams << SPACING);
    this.#stripes = Array.from({ length: workers }, () => region.int32(upstreams));
  }

  /** The total as it was a moment ago. A plain read: see `peek` of the state words. */
  read(upstream: number): number {
    return this.#totals[upstream << SPACING]!;
  }

  /** Those of which there is at least one. */
  inUse(): number[] {
    const used: number[] = [];
    for (let index = 0; index << SPACING < this.#totals.length; index++)
      if (Atomics.load(this.#totals, index << SPACING) > 0) used.push(index);
    return used;
  }

  /** Takes one and gives the total before. */
  take(worker: number, upstream: number): number {
    const before = Atomics.add(this.#totals, upstream << SPACING, 1);
    Atomics.add(this.#stripe(worker), upstream, 1);
    return before;
  }

  /** Takes one if `seen` still is the total, and gives whether it did: a choice made on what was seen is a claim. */
  takeIf(worker: number, upstream: number, seen: number): boolean {
    if (Atomics.compareExchange(this.#totals, upstream << SPACING, seen, seen + 1) !== seen) return false;
    Atomics.add(this.#stripe(worker), upstream, 1);
    return true;
  }

  /** Gives one back. Does nothing when the worker holds none, as after `giveBackAll`. */
  giveBack(worker: number, upstream: number): void {
    const stripe = this.#stripe(worker);
    for (;;) {
      const held = Atomics.load(stripe, upstream);
      if (held <= 0) return;
      if (Atomics.compareExchange(stripe, upstream, held, held - 1) === held) break;
    }
    Atomics.sub(this.#totals, upstream << SPACING, 1);
  }

  /** Gives back all that a worker held. Only for a worker that has ended. */
  giveBackAll(worker: number): void {
    const stripe = this.#stripe(worker);
    for (let upstream = 0; upstream < stripe.length; upstream++) {
      const held = Atomics.exchange(stripe, upstream, 0);
      if (held > 0) Atomics.sub(this.#totals, upstream << SPACING, held);
    }
  }

  #stripe(worker: number): Int32Array {
    return this.#stripes[worker]!;
  }
}
